//! Reads files, or standard input for `-`.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const STANDARD_INPUT: &str = "-";

/// The text of a file, or of standard input for `-`, without a byte order mark.
///
/// # Errors
/// The file cannot be read, or is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    text_of(read_bytes(path)?).with_context(|| format!("cannot read {}", display_name(path)))
}

/// The bytes of a file, or of standard input for `-`.
///
/// # Errors
/// The file cannot be read.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match path == Path::new(STANDARD_INPUT) {
        true => std::io::stdin().read_to_end(&mut bytes).map(|_| ()),
        false => std::fs::read(path).map(|read| bytes = read),
    }
    .with_context(|| format!("cannot read {}", display_name(path)))?;
    Ok(bytes)
}

/// The name of the file in messages.
pub fn display_name(path: &Path) -> String {
    match path == Path::new(STANDARD_INPUT) {
        true => String::from("standard input"),
        false => path.display().to_string(),
    }
}

/// UTF-8 text without a byte order mark.
///
/// # Errors
/// The bytes are not UTF-8.
pub fn text_of(bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes)?;
    Ok(text.strip_prefix('\u{feff}').map(String::from).unwrap_or(text))
}

/// The one document of a YAML text.
///
/// # Errors
/// The text is not YAML, or holds several documents.
pub fn yaml(text: &str) -> Result<Value> {
    let options = serde_saphyr::options! { with_snippet: false };
    match serde_saphyr::from_str_with_options(text, options) {
        Err(serde_saphyr::Error::MultipleDocuments { .. }) => {
            bail!("the file holds several documents: give one of them")
        }
        Err(_) if text.contains("${") => {
            bail!("the file is a template: replace each ${{…}} first")
        }
        read => Ok(read?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_input_has_a_display_name() {
        assert_eq!(display_name(Path::new("-")), "standard input");
        assert_eq!(display_name(Path::new("./-")), "./-");
    }

    #[test]
    fn unusable_yaml_is_an_error_in_one_line() {
        for (text, expected) in [
            ("a: 1\n---\nb: 2\n", "several documents: give one"),
            ("a: {b: ${NAME}}\n", "the file is a template"),
            ("a: {b: 1\nc: 2\n", "at line 2, column 2"),
        ] {
            let error = format!("{:#}", yaml(text).unwrap_err());
            assert!(error.contains(expected) && !error.contains('\n'), "{error}");
        }
    }
}
