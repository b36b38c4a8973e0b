//! The participants of a room and their presence.

use serde::{Deserialize, Serialize};

use crate::command_ids::CommandIds;
use crate::effects::SessionId;
use crate::limits::{AWAY_GRACE_MS, SEAT_GRACE_MS};
use crate::protocol::{ParticipantId, ParticipantView, Role};

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    pub id: ParticipantId,
    pub name: String,
    pub role: Role,
    pub facilitator: bool,
    pub applied: CommandIds,
    #[serde(skip)]
    pub presence: Presence,
}

/// Known to this process only: after a claim no participant is connected.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// At least one session.
    Connected(Vec<SessionId>),
    /// Disconnected; auto-reveal still waits.
    Away { since_ms: u64 },
    /// Disconnected for long: auto-reveal does not wait, but the seat is kept.
    Gone { since_ms: u64 },
}

impl Default for Presence {
    fn default() -> Self {
        Self::Away { since_ms: 0 }
    }
}

impl Participant {
    pub fn new(id: ParticipantId, name: String, role: Role, facilitator: bool) -> Self {
        Self {
            id,
            name,
            role,
            facilitator,
            applied: CommandIds::default(),
            presence: Presence::default(),
        }
    }

    pub fn view(&self) -> ParticipantView {
        ParticipantView {
            id: self.id.clone(),
            name: self.name.clone(),
            role: self.role,
            facilitator: self.facilitator,
            connected: self.is_connected(),
        }
    }

    pub fn is_connected(&self) -> bool {
        matches!(self.presence, Presence::Connected(_))
    }

    /// Whether auto-reveal waits for this participant's vote.
    pub fn is_awaited(&self) -> bool {
        self.role == Role::Voter && !matches!(self.presence, Presence::Gone { .. })
    }

    pub fn sessions(&self) -> &[SessionId] {
        match &self.presence {
            Presence::Connected(sessions) => sessions,
            Presence::Away { .. } | Presence::Gone { .. } => &[],
        }
    }

    pub fn connect(&mut self, session: SessionId) {
        match &mut self.presence {
            Presence::Connected(sessions) => sessions.push(session),
            away => *away = Presence::Connected(vec![session]),
        }
    }

    pub fn disconnect(&mut self, session: SessionId, now_ms: u64) {
        let Presence::Connected(sessions) = &mut self.presence else {
            return;
        };
        sessions.retain(|&own| own != session);
        if sessions.is_empty() {
            self.presence = Presence::Away { since_ms: now_ms };
        }
    }

    /// When the presence changes through time alone.
    pub fn deadline_ms(&self) -> Option<u64> {
        match self.presence {
            Presence::Connected(_) => None,
            Presence::Away { since_ms } => Some(since_ms.saturating_add(AWAY_GRACE_MS)),
            Presence::Gone { since_ms } => Some(since_ms.saturating_add(SEAT_GRACE_MS)),
        }
    }

    /// Whether the seat expires.
    pub fn pass_time(&mut self, now_ms: u64) -> bool {
        if let Presence::Away { since_ms } = self.presence
            && now_ms >= since_ms.saturating_add(AWAY_GRACE_MS)
        {
            self.presence = Presence::Gone { since_ms };
        }
        matches!(self.presence, Presence::Gone { since_ms } if now_ms >= since_ms.saturating_add(SEAT_GRACE_MS))
    }
}

/// In the order of joining.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(transparent)]
pub struct Participants(pub Vec<Participant>);

impl Participants {
    pub fn get(&self, id: &str) -> Option<&Participant> {
        self.0.iter().find(|participant| participant.id == id)
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Participant> {
        self.0.iter_mut().find(|participant| participant.id == id)
    }

    pub fn remove(&mut self, id: &str) {
        self.0.retain(|participant| participant.id != id);
    }

    pub fn facilitator(&self) -> Option<&Participant> {
        self.0.iter().find(|participant| participant.facilitator)
    }

    pub fn first_connected(&self) -> Option<&Participant> {
        self.0.iter().find(|participant| participant.is_connected())
    }

    /// The participant who has been gone longest. Participants who are only away keep their seats.
    pub fn longest_gone(&self) -> Option<&Participant> {
        let gone = self
            .0
            .iter()
            .filter_map(|participant| match participant.presence {
                Presence::Gone { since_ms } => Some((since_ms, participant)),
                _ => None,
            });
        gone.min_by_key(|(since_ms, _)| *since_ms)
            .map(|(_, participant)| participant)
    }
}
