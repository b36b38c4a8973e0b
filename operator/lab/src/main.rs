use std::process::ExitCode;

fn main() -> ExitCode {
    poker_lab::cli::main()
}
