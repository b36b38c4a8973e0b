module planningpoker.dev/tests/cluster/node

go 1.25.0
