//! The client protocol: JSON text frames on `GET /ws?team=SLUG`.
//!
//! The TypeScript types of the web application are generated from here, see `tests/bindings.rs`.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorCode, Refusal};

/// Close codes of the WebSocket; the reason is the code's name, for 1012 a JSON [`RestartReason`].
pub mod close {
    pub const SERVICE_RESTART: u16 = 1012;
    pub const BAD_HELLO: u16 = 4000;
    pub const TEAM_NOT_FOUND: u16 = 4001;
    pub const REMOVED: u16 = 4002;
    pub const TOO_MANY: u16 = 4003;
    pub const SLOW_CONSUMER: u16 = 4008;
}

/// The first 16 hex digits of SHA-256(team ":" key).
pub type ParticipantId = String;
/// A card's text: "½", "13", "XL", "?", "☕".
pub type Card = String;
pub type StoryId = u32;

/// Client to server.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ClientMessage {
    /// The first frame, within 5 s.
    Hello(Hello),
    /// `id` is chosen by the client and resent unchanged after a reconnect; applied at most once.
    Command {
        id: String,
        command: Command,
    },
    Ping {},
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    // Links carry it without field names: no field may be skipped.
    pub protocol: u32,
    /// Secret of the browser, 32 lowercase hex digits; never shown to others.
    pub key: String,
    pub name: String,
    pub role: Role,
    /// Creates the room if the team does not exist; else ignored.
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub create: Option<CreateRoom>,
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub resume: Option<Resume>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct CreateRoom {
    pub name: String,
    pub deck: DeckChoice,
}

/// The last event the client has seen.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    pub epoch: u64,
    pub seq: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Voter,
    Observer,
}

/// `round` is the number of the round that the sender saw; any other number is refused (`stale_round`).
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Command {
    // Everyone.
    Vote {
        round: u64,
        card: Card,
    },
    ClearVote {
        round: u64,
    },
    Rename {
        name: String,
    },
    SetRole {
        role: Role,
    },
    /// Only while no facilitator is connected.
    TakeFacilitator {},
    // The facilitator.
    Reveal {
        round: u64,
    },
    VoteAgain {
        round: u64,
    },
    SaveEstimate {
        round: u64,
        card: Card,
    },
    NextStory {
        round: u64,
    },
    SelectStory {
        story: StoryId,
    },
    AddStories {
        titles: Vec<String>,
    },
    EditStory {
        story: StoryId,
        title: String,
    },
    RemoveStory {
        story: StoryId,
    },
    MoveStory {
        story: StoryId,
        index: u32,
    },
    SetDeck {
        deck: DeckChoice,
    },
    SetAutoReveal {
        on: bool,
    },
    StartTimer {
        seconds: u32,
    },
    StopTimer {},
    MakeFacilitator {
        participant: ParticipantId,
    },
    RemoveParticipant {
        participant: ParticipantId,
    },
    RenameTeam {
        name: String,
    },
}

/// Server to client.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ServerMessage {
    /// `resumed`: exactly the missed events follow; otherwise a snapshot follows.
    Welcome {
        protocol: u32,
        you: ParticipantId,
        epoch: u64,
        seq: u64,
        resumed: bool,
        /// The server's clock.
        now_ms: u64,
    },
    Snapshot {
        epoch: u64,
        seq: u64,
        /// The server's clock, to which `endsAtMs` of a timer refers.
        now_ms: u64,
        room: Box<RoomView>,
        your_vote: Option<Card>,
    },
    /// `seq` grows by one from event to event; after a gap, reconnect with `resume`.
    Event {
        epoch: u64,
        seq: u64,
        event: Event,
    },
    /// The command is durable.
    Ack {
        id: String,
        seq: u64,
    },
    Error(ErrorMessage),
    /// To all sessions of the voter only.
    YourVote {
        round: u64,
        card: Option<Card>,
    },
    Pong {},
    Notice {
        code: NoticeCode,
        message: String,
    },
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ErrorMessage {
    /// The refused command, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub id: Option<String>,
    pub code: ErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "snake_case")]
pub enum NoticeCode {
    /// Commands wait for the store: "Saving…".
    StoreUnavailable,
    StoreAvailable,
}

/// Reason of close code 1012, as JSON: when this client should reconnect.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RestartReason {
    pub retry_after_ms: u64,
}

/// What everyone in the room may see.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RoomView {
    pub team: String,
    pub name: String,
    pub deck: Deck,
    pub auto_reveal: bool,
    /// In the order of joining.
    pub participants: Vec<ParticipantView>,
    /// In the order of estimation.
    pub stories: Vec<Story>,
    pub round: RoundView,
    pub timer: Option<TimerView>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct ParticipantView {
    pub id: ParticipantId,
    pub name: String,
    pub role: Role,
    pub facilitator: bool,
    pub connected: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Story {
    pub id: StoryId,
    pub title: String,
    pub estimate: Option<Card>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct RoundView {
    pub number: u64,
    /// Null: a vote without a story.
    pub story: Option<StoryId>,
    pub phase: Phase,
    /// The participants who have voted, in the order of voting; some may have left since.
    pub voted: Vec<ParticipantId>,
    /// Null until revealed.
    pub votes: Option<Vec<VoteView>>,
    pub stats: Option<Stats>,
    /// Whether the estimate of this round was saved.
    #[serde(default)]
    pub saved: bool,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Voting,
    Revealed,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct VoteView {
    pub participant: ParticipantId,
    pub card: Card,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct TimerView {
    pub ends_at_ms: u64,
    pub seconds: u32,
}

/// Statistics of the revealed votes. Cards that are not estimates ("?", "☕") count in the histogram only.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Cards with votes, in deck order.
    pub histogram: Vec<CardCount>,
    /// With an even number of estimates, the higher one of the two in the middle.
    pub median: Option<Card>,
    /// Of numeric cards, rounded to two decimals.
    pub mean: Option<f64>,
    /// Share of the most frequent estimate among all estimates, in per cent, rounded; 0 without estimates.
    #[cfg_attr(feature = "typescript", ts(type = "number"))]
    pub agreement: u8,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct CardCount {
    pub card: Card,
    pub count: u32,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "snake_case")]
pub enum DeckKind {
    Fibonacci,
    ModifiedFibonacci,
    TShirt,
    PowersOfTwo,
    Custom,
}

/// A deck as the server sends it: with all cards.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct Deck {
    pub kind: DeckKind,
    pub cards: Vec<Card>,
}

/// A deck as a client requests it: `cards` is used for a custom deck only.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(export_to = "protocol.ts"))]
#[serde(rename_all = "camelCase")]
pub struct DeckChoice {
    pub kind: DeckKind,
    #[serde(default)]
    #[cfg_attr(feature = "typescript", ts(optional))]
    pub cards: Option<Vec<Card>>,
}

/// A change of the room as everyone sees it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[cfg_attr(
    feature = "typescript",
    derive(ts_rs::TS),
    ts(export_to = "protocol.ts", rename = "RoomEvent")
)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Event {
    /// Append to `participants`.
    ParticipantJoined {
        participant: ParticipantView,
    },
    /// Replace the one with the same id.
    ParticipantChanged {
        participant: ParticipantView,
    },
    /// Remove; a vote already cast stays in the round.
    ParticipantLeft {
        id: ParticipantId,
    },
    /// Append to or remove from `round.voted`.
    Voted {
        participant: ParticipantId,
        has_voted: bool,
    },
    Revealed {
        round: u64,
        votes: Vec<VoteView>,
        stats: Stats,
    },
    /// A new round replaces the old one: phase `voting`, without votes.
    RoundStarted {
        number: u64,
        story: Option<StoryId>,
    },
    EstimateSaved {
        story: StoryId,
        card: Card,
    },
    StoriesChanged {
        stories: Vec<Story>,
    },
    SettingsChanged {
        name: String,
        deck: Deck,
        auto_reveal: bool,
    },
    /// `ranOut`: the timer has run out.
    TimerChanged {
        timer: Option<TimerView>,
        ran_out: bool,
    },
}

impl ServerMessage {
    /// The frame's text.
    pub fn to_text(&self) -> String {
        // Strings, numbers and lists only: serialisation has no way to fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ErrorMessage {
    /// The `error` frame's text.
    pub fn to_text(self) -> String {
        ServerMessage::Error(self).to_text()
    }

    pub fn new(id: Option<String>, refusal: Refusal) -> Self {
        Self {
            id,
            code: refusal.code,
            message: refusal.message,
            retry_after_ms: None,
        }
    }
}
