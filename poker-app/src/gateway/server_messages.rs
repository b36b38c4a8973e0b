//! The messages that the gateway itself sends to clients.

use axum::extract::ws::Utf8Bytes;
use poker_core::{
    ErrorCode,
    protocol::{ErrorMessage, NoticeCode, ServerMessage, close},
};

/// An `error` message. `id`: the command that is refused.
pub fn error(id: Option<&str>, code: ErrorCode, message: &str, retry_after_ms: Option<u64>) -> Utf8Bytes {
    let error = ErrorMessage {
        id: id.map(str::to_owned),
        code,
        message: message.to_owned(),
        retry_after_ms,
    };
    error.to_text().into()
}

pub fn notice(code: NoticeCode, message: &str) -> Utf8Bytes {
    let notice = ServerMessage::Notice {
        code,
        message: message.to_owned(),
    };
    notice.to_text().into()
}

/// How a socket is closed whose session was refused.
pub fn close_code(code: ErrorCode) -> u16 {
    match code {
        ErrorCode::TeamNotFound => close::TEAM_NOT_FOUND,
        ErrorCode::Removed => close::REMOVED,
        ErrorCode::TooManyParticipants | ErrorCode::TooManySessions | ErrorCode::Unavailable => {
            close::TOO_MANY
        }
        _ => close::BAD_HELLO,
    }
}
