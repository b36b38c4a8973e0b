//! Classifies a client's text frame by its head, without parsing all of it.

use std::borrow::Cow;

use axum::extract::ws::Utf8Bytes;
use poker_core::{
    ErrorCode,
    limits::COMMAND_ID_CHARS_MAX,
    protocol::{ClientMessage, Hello},
    text::command_id,
};
use serde::Deserialize;

use super::server_messages::error;

#[derive(Debug, PartialEq)]
pub enum ClientFrame<'a> {
    Hello,
    Ping,
    /// With its id. The shard parses the command itself.
    Command(Cow<'a, str>),
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

/// Reads the head of a frame. Fails with the `error` message to answer.
pub fn read(text: &str) -> Result<ClientFrame<'_>, Utf8Bytes> {
    let Ok(head) = serde_json::from_str::<Head>(text) else {
        let message = "send a JSON object with a type, as the protocol requires";
        return Err(error(None, ErrorCode::Malformed, message, None));
    };
    match (&*head.kind, head.id) {
        ("hello", _) => Ok(ClientFrame::Hello),
        ("ping", _) => Ok(ClientFrame::Ping),
        // The shard applies the same rule and would not echo an invalid id.
        ("command", Some(id)) if command_id(&id).is_ok() => Ok(ClientFrame::Command(id)),
        ("command", _) => {
            let message = format!("a command needs an id of 1 to {COMMAND_ID_CHARS_MAX} visible characters");
            Err(error(None, ErrorCode::InvalidId, &message, None))
        }
        (_, id) => {
            let message = "send hello, command or ping";
            Err(error(id.as_deref(), ErrorCode::UnknownType, message, None))
        }
    }
}

/// Reads the first frame of a client. Fails with the `error` message to answer.
pub fn read_hello(text: &str) -> Result<Hello, Utf8Bytes> {
    match serde_json::from_str(text) {
        Ok(ClientMessage::Hello(hello)) => Ok(hello),
        _ => {
            let message = "send a hello first, as the protocol requires";
            Err(error(None, ErrorCode::BadHello, message, None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_classified_by_type() {
        let command = r#"{"type":"command","id":"a1","command":{"type":"whatever"}}"#;
        assert_eq!(read(command), Ok(ClientFrame::Command("a1".into())));
        assert_eq!(read(r#"{"type":"ping"}"#), Ok(ClientFrame::Ping));
        assert_eq!(read(r#"{"type":"hello","x":1}"#), Ok(ClientFrame::Hello));
    }

    #[test]
    fn an_invalid_frame_is_answered_with_an_error_code() {
        let long_id = format!(r#"{{"type":"command","id":"{}"}}"#, "x".repeat(37));
        let cases = [
            ("", "malformed"),
            ("[]", "malformed"),
            (r#"{"id":"a"}"#, "malformed"),
            (r#"{"type":"command"}"#, "invalid_id"),
            (r#"{"type":"command","id":""}"#, "invalid_id"),
            (r#"{"type":"command","id":"  "}"#, "invalid_id"),
            (r#"{"type":"command","id":"a\u0000"}"#, "invalid_id"),
            (&long_id, "invalid_id"),
            (r#"{"type":"dance"}"#, "unknown_type"),
        ];
        for (text, code) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(&format!(r#""code":"{code}""#)), "{text}: {error}");
        }
    }
}
