//! The history: the events that are sent to Kafka, and the answer to the history page.

use serde::{Deserialize, Serialize};

use crate::protocol::{Card, ParticipantId, Stats, StoryId};

/// An event as JSON, in Kafka with the team as key. Contains revealed votes only.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEvent {
    pub team: String,
    /// When the room was created: a recreated room counts its rounds from 1 again.
    #[serde(default)]
    pub created_at_ms: u64,
    pub epoch: u64,
    pub seq: u64,
    pub at_ms: u64,
    #[serde(flatten)]
    pub kind: HistoryKind,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum HistoryKind {
    RoundRevealed {
        round: u64,
        story: Option<HistoryStory>,
        votes: Vec<HistoryVote>,
        stats: Stats,
    },
    EstimateSaved {
        round: u64,
        story: HistoryStory,
        card: Card,
    },
    TeamNamed {
        name: String,
    },
    /// Of a kind that this version does not know: stored as it is, for a version that does.
    #[serde(untagged)]
    Unknown(UnknownKind),
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct UnknownKind {
    pub kind: String,
    #[serde(flatten)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct HistoryStory {
    pub id: StoryId,
    pub title: String,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct HistoryVote {
    pub participant: ParticipantId,
    /// The name at the time of the reveal.
    pub name: String,
    pub card: Card,
}

/// Answer of `GET /api/teams/{slug}/history`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct TeamHistory {
    pub team: String,
    /// Newest first.
    pub rounds: Vec<HistoryRound>,
    /// Whether there are older rounds.
    pub older_left_out: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct HistoryRound {
    pub round: u64,
    pub story: Option<HistoryStory>,
    /// RFC 3339.
    pub revealed_at: String,
    pub votes: Vec<HistoryVote>,
    pub stats: HistoryStats,
    /// The card that was saved last for this round.
    pub estimate: Option<Card>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct HistoryStats {
    pub median: Option<Card>,
    pub mean: Option<f64>,
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub agreement: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_an_unknown_kind_keeps_all_its_fields() {
        let text = r#"{"team":"blue","createdAtMs":1,"epoch":2,"seq":3,"atMs":4,"kind":"cheered","by":"Ada","times":[1,2]}"#;
        let event: HistoryEvent = serde_json::from_str(text).unwrap();
        let HistoryKind::Unknown(unknown) = &event.kind else {
            panic!("{event:?}");
        };
        assert_eq!((event.seq, &*unknown.kind), (3, "cheered"));
        let original: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), original);
    }

    #[test]
    fn a_message_without_a_kind_is_no_event() {
        let text = r#"{"team":"blue","epoch":2,"seq":3,"atMs":4}"#;
        assert!(serde_json::from_str::<HistoryEvent>(text).is_err());
    }
}
