//! Parses client frames. An invalid frame gets one clear refusal.

use serde::Deserialize;

use crate::error::{ErrorCode, Refusal};
use crate::limits::{COMMAND_ID_CHARS_MAX, MESSAGE_BYTES_MAX};
use crate::protocol::ClientMessage;

/// Characters of a parser error that a refusal quotes.
const DETAIL_CHARS_MAX: usize = 160;

/// An invalid frame; `id` if it is recognisable as a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    pub id: Option<String>,
    pub refusal: Refusal,
}

pub fn client_message(text: &str) -> Result<ClientMessage, Rejected> {
    if text.len() > MESSAGE_BYTES_MAX {
        let message = format!("a message has at most {MESSAGE_BYTES_MAX} bytes; send several smaller ones");
        return Err(Rejected {
            id: None,
            refusal: Refusal::new(ErrorCode::MessageTooLarge, message),
        });
    }
    serde_json::from_str(text).map_err(|error| rejected(text, &error.to_string()))
}

/// The part of a frame that is needed to answer it.
#[derive(Default, Deserialize)]
struct Probe {
    #[serde(rename = "type")]
    kind: Option<String>,
    id: Option<String>,
}

#[derive(Default, Deserialize)]
struct CommandProbe {
    command: Kind,
}

#[derive(Default, Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

fn rejected(text: &str, error: &str) -> Rejected {
    let probe: Probe = serde_json::from_str(text).unwrap_or_default();
    let id = probe
        .id
        .filter(|id| id.chars().nth(COMMAND_ID_CHARS_MAX).is_none());
    let command: CommandProbe = serde_json::from_str(text).unwrap_or_default();
    let kinds = [probe.kind, command.command.kind];
    let unknown = kinds
        .iter()
        .flatten()
        .find(|kind| error.starts_with(&format!("unknown variant `{kind}`")));
    let refusal = match unknown {
        Some(kind) => {
            let kind: String = kind.chars().take(COMMAND_ID_CHARS_MAX).collect();
            Refusal::new(
                ErrorCode::UnknownType,
                format!("unknown type {kind}; reload the page for the newest version"),
            )
        }
        None => {
            let detail: String = error.chars().take(DETAIL_CHARS_MAX).collect();
            Refusal::new(ErrorCode::Malformed, format!("not a valid message: {detail}"))
        }
    };
    Rejected { id, refusal }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Command;

    #[test]
    fn messages_are_parsed_and_unknown_fields_ignored() {
        let text =
            r#"{"type":"command","id":"7","later":1,"command":{"type":"vote","round":3,"card":"5","x":[]}}"#;
        let command = Command::Vote {
            round: 3,
            card: String::from("5"),
        };
        assert_eq!(
            client_message(text).unwrap(),
            ClientMessage::Command {
                id: String::from("7"),
                command
            }
        );
        assert_eq!(
            client_message(r#"{"type":"ping"}"#).unwrap(),
            ClientMessage::Ping {}
        );
    }

    #[test]
    fn invalid_frames_get_one_clear_refusal() {
        use ErrorCode::{Malformed, MessageTooLarge, UnknownType};
        let deep = "[".repeat(10_000);
        let deep_command = format!(
            r#"{{"type":"command","id":"7","command":{}{}}}"#,
            "[".repeat(5_000),
            "]".repeat(5_000)
        );
        let large = "x".repeat(MESSAGE_BYTES_MAX + 1);
        let cases = [
            ("", None, Malformed),
            ("{", None, Malformed),
            ("null", None, Malformed),
            ("[]", None, Malformed),
            (deep.as_str(), None, Malformed),
            (large.as_str(), None, MessageTooLarge),
            ("{}", None, Malformed),
            (r#"{"type":"shout"}"#, None, UnknownType),
            (
                r#"{"type":"command","id":"7","command":{"type":"shout"}}"#,
                Some("7"),
                UnknownType,
            ),
            (
                r#"{"type":"command","id":"7","command":{"type":"vote","round":-1,"card":"5"}}"#,
                Some("7"),
                Malformed,
            ),
            (
                r#"{"type":"command","id":"7","command":{"type":"vote"}}"#,
                Some("7"),
                Malformed,
            ),
            (
                r#"{"type":"command","id":"7","command":{"type":"set_role","role":"king"}}"#,
                Some("7"),
                Malformed,
            ),
            (
                r#"{"type":"command","id":"7","command":"reveal"}"#,
                Some("7"),
                Malformed,
            ),
            (
                r#"{"type":"command","id":"7","command":{"type":7}}"#,
                Some("7"),
                Malformed,
            ),
            (deep_command.as_str(), Some("7"), Malformed),
            (
                r#"{"type":"command","id":7,"command":{"type":"stop_timer"}}"#,
                None,
                Malformed,
            ),
            (
                r#"{"type":"command","command":{"type":"stop_timer"}}"#,
                None,
                Malformed,
            ),
        ];
        for (text, id, code) in cases {
            let shown: String = text.chars().take(80).collect();
            let rejected = client_message(text).unwrap_err();
            assert_eq!(
                (rejected.id.as_deref(), rejected.refusal.code),
                (id, code),
                "{shown}"
            );
            assert!(rejected.refusal.message.chars().count() < 250, "{shown}");
        }
    }
}
