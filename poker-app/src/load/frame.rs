//! Parses server frames, the frequent ones without building the whole message.

use poker_core::protocol::ServerMessage;
use serde::Deserialize;

/// The frames that the load generator handles.
#[derive(Debug, PartialEq)]
pub enum Frame<'a> {
    Voted {
        epoch: u64,
        seq: u64,
        participant: &'a str,
        has_voted: bool,
    },
    OtherEvent {
        epoch: u64,
        seq: u64,
    },
    Ack {
        id: &'a str,
    },
    Message(Box<ServerMessage>),
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    epoch: u64,
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    id: Option<&'a str>,
    #[serde(borrow, default)]
    event: Option<EventHead<'a>>,
}

#[derive(Deserialize)]
struct EventHead<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct VotedFrame<'a> {
    #[serde(borrow)]
    event: Voted<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Voted<'a> {
    participant: &'a str,
    has_voted: bool,
}

pub fn read(text: &str) -> Result<Frame<'_>, serde_json::Error> {
    let Head {
        kind,
        epoch,
        seq,
        id,
        event,
    } = serde_json::from_str(text)?;
    match (kind, event.map(|event| event.kind), id) {
        ("ack", _, Some(id)) => Ok(Frame::Ack { id }),
        ("event", Some("voted"), _) => {
            let VotedFrame {
                event:
                    Voted {
                        participant,
                        has_voted,
                    },
            } = serde_json::from_str(text)?;
            Ok(Frame::Voted {
                epoch,
                seq,
                participant,
                has_voted,
            })
        }
        ("event", Some("revealed" | "round_started"), _) => serde_json::from_str(text).map(Frame::Message),
        ("event", _, _) => Ok(Frame::OtherEvent { epoch, seq }),
        _ => serde_json::from_str(text).map(Frame::Message),
    }
}

#[cfg(test)]
mod tests {
    use poker_core::protocol::Event;

    use super::*;

    #[test]
    fn frames_of_a_room_are_parsed() {
        let event = |event| ServerMessage::Event {
            epoch: 2,
            seq: 9,
            event,
        };
        let voted = event(Event::Voted {
            participant: String::from("p1"),
            has_voted: true,
        });
        let expected = Frame::Voted {
            epoch: 2,
            seq: 9,
            participant: "p1",
            has_voted: true,
        };
        assert_eq!(read(&voted.to_text()).unwrap(), expected);
        let timer = event(Event::TimerChanged {
            timer: None,
            ran_out: false,
        });
        assert_eq!(
            read(&timer.to_text()).unwrap(),
            Frame::OtherEvent { epoch: 2, seq: 9 }
        );
        let ack = ServerMessage::Ack {
            id: String::from("7"),
            seq: 9,
        };
        assert_eq!(read(&ack.to_text()).unwrap(), Frame::Ack { id: "7" });
        let started = event(Event::RoundStarted {
            number: 3,
            story: None,
        });
        let text = started.to_text();
        assert_eq!(read(&text).unwrap(), Frame::Message(Box::new(started)));
        assert!(read("{").is_err());
    }
}
