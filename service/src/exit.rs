//! Exit codes of the command lines: 0 for success, 1 if a check or the work failed, 2 for invalid usage or input. An error
//! is one line on standard error.

use std::process::ExitCode;

/// The exit code of a command; an error is printed as one line.
pub fn code_of(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {}", one_line(&error));
        ExitCode::from(2)
    })
}

/// Lets the program end with success when the reader of its output has closed the pipe, as in
/// `poker-operator plan … | head`. Without it, the standard library panics.
pub fn succeed_on_broken_pipe() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_unread = panic.payload_as_str().is_some_and(|text| {
            text.starts_with("failed printing to stdout") && text.contains("Broken pipe")
        });
        if is_unread {
            std::process::exit(0);
        }
        report(panic);
    }));
}

/// The error and its causes in one line, without what a cause repeats.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if !line.contains(&text) {
            line = if line.is_empty() {
                text
            } else {
                format!("{line}: {text}")
            };
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_one_line() {
        let error = anyhow::anyhow!("line one\nline two").context("cannot read file");
        assert_eq!(one_line(&error), "cannot read file: line one line two");
    }
}
