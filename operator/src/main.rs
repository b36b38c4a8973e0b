use std::process::ExitCode;

fn main() -> ExitCode {
    poker_operator::cli::main()
}
