//! Validates texts that users enter.

use crate::error::{ErrorCode, Refusal};
use crate::limits::{
    COMMAND_ID_CHARS_MAX, PARTICIPANT_NAME_CHARS_MAX, STORY_TITLE_CHARS_MAX, TEAM_NAME_CHARS_MAX,
};

pub fn participant_name(text: &str) -> Result<String, Refusal> {
    clean(text, PARTICIPANT_NAME_CHARS_MAX, ErrorCode::InvalidName, "a name")
}

pub fn team_name(text: &str) -> Result<String, Refusal> {
    clean(text, TEAM_NAME_CHARS_MAX, ErrorCode::InvalidName, "a team's name")
}

pub fn story_title(text: &str) -> Result<String, Refusal> {
    clean(text, STORY_TITLE_CHARS_MAX, ErrorCode::InvalidTitle, "a title")
}

pub fn command_id(id: &str) -> Result<(), Refusal> {
    clean(id, COMMAND_ID_CHARS_MAX, ErrorCode::InvalidId, "a command id").map(drop)
}

/// Trims the text, then refuses it if it has no visible character, is too long (in characters), or contains characters
/// that change the text around it.
pub fn clean(text: &str, chars_max: usize, code: ErrorCode, what: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if !text.chars().any(is_visible) {
        return Err(Refusal::new(
            code,
            format!("{what} must not be empty; type at least one character"),
        ));
    }
    if text.chars().nth(chars_max).is_some() {
        return Err(Refusal::new(
            code,
            format!("{what} has at most {chars_max} characters; shorten it"),
        ));
    }
    if text.chars().any(is_control) {
        return Err(Refusal::new(
            code,
            format!("{what} must not hold control characters; remove them"),
        ));
    }
    Ok(String::from(text))
}

fn is_visible(c: char) -> bool {
    !c.is_whitespace() && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{00ad}')
}

/// Control characters, line separators, and marks that change the direction of the text around them.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_trimmed_and_counted_in_characters() {
        let longest = "é".repeat(PARTICIPANT_NAME_CHARS_MAX);
        let cases = [
            ("  Ada  ", Some("Ada")),
            ("Żółw 🐢", Some("Żółw 🐢")),
            ("👩‍👩‍👧", Some("👩‍👩‍👧")),
            ("שלום", Some("שלום")),
            (longest.as_str(), Some(longest.as_str())),
            ("", None),
            (" \u{3000}\t ", None),
            ("\u{200b}\u{feff}", None),
            ("a\nb", None),
            ("a\u{0}b", None),
            ("a\u{202e}b", None),
            ("a\u{2028}b", None),
        ];
        for (text, expected) in cases {
            assert_eq!(participant_name(text).ok().as_deref(), expected, "{text:?}");
        }
        assert!(participant_name(&"é".repeat(PARTICIPANT_NAME_CHARS_MAX + 1)).is_err());
    }
}
