module planningpoker.dev/images/writer

go 1.25.0
