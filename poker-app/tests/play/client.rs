//! A browser's side of the protocol.

use std::{net::SocketAddr, time::Duration};

use futures::{SinkExt, StreamExt};
use poker_core::{
    ErrorCode,
    protocol::{
        ClientMessage, Command, CreateRoom, DeckChoice, DeckKind, ErrorMessage, Event, Hello, Phase, Resume,
        Role, RoomView, ServerMessage,
    },
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Bytes, Message, protocol::CloseFrame},
};

/// Nothing in these tests takes this long unless it is stuck.
pub const STUCK: Duration = Duration::from_secs(30);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub async fn open(address: SocketAddr, team: &str) -> Socket {
    let url = format!("ws://{address}/ws?team={team}");
    timeout(STUCK, connect_async(url)).await.unwrap().unwrap().0
}

/// The next text, or the close frame.
pub async fn receive(socket: &mut Socket) -> Result<String, Option<CloseFrame>> {
    let received = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.to_string()),
                Some(Ok(Message::Close(frame))) => return Err(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    };
    timeout(STUCK, received).await.expect("the server is silent")
}

/// A client in a room that checks that no event is missing or repeated.
pub struct Client {
    pub socket: Socket,
    pub you: String,
    /// The room as of the last snapshot.
    pub room: RoomView,
    pub your_vote: Option<String>,
    pub seen: Resume,
    /// Everything received after the first snapshot, as it came.
    pub frames: Vec<String>,
    pub snapshots: usize,
    commands: u64,
    /// Commands without an answer, with their ids, oldest first.
    unanswered: Vec<(String, ClientMessage)>,
    name: String,
}

pub fn hello(name: &str, create: bool, resume: Option<Resume>) -> Hello {
    let key = name
        .bytes()
        .fold(7u128, |key, byte| key.wrapping_mul(257).wrapping_add(byte.into()));
    Hello {
        protocol: 1,
        key: format!("{key:032x}"),
        name: name.split('#').next().unwrap_or_default().to_owned(),
        role: Role::Voter,
        create: create.then(|| CreateRoom {
            name: "Blue".into(),
            deck: DeckChoice {
                kind: DeckKind::Custom,
                cards: Some(["1", "2", "xyzzy", "plugh"].map(str::to_owned).to_vec()),
            },
        }),
        resume,
    }
}

impl Client {
    /// Joins; creates the team if it does not exist.
    pub async fn join(address: SocketAddr, team: &str, name: &str) -> Client {
        let mut socket = open(address, team).await;
        send(&mut socket, &ClientMessage::Hello(hello(name, true, None))).await;
        let welcome = message(&receive(&mut socket).await.unwrap());
        let ServerMessage::Welcome {
            you, resumed: false, ..
        } = welcome
        else {
            panic!("{welcome:?}");
        };
        let snapshot = message(&receive(&mut socket).await.unwrap());
        let ServerMessage::Snapshot {
            epoch,
            seq,
            room,
            your_vote,
            ..
        } = snapshot
        else {
            panic!("{snapshot:?}");
        };
        Client {
            socket,
            you,
            room: *room,
            your_vote,
            seen: Resume { epoch, seq },
            frames: Vec::new(),
            snapshots: 1,
            commands: 0,
            unanswered: Vec::new(),
            name: name.to_owned(),
        }
    }

    /// Connects again, as after a lost connection.
    pub async fn return_to(&mut self, address: SocketAddr, team: &str) -> bool {
        self.socket = open(address, team).await;
        let hello = hello(&self.name, false, Some(self.seen));
        send(&mut self.socket, &ClientMessage::Hello(hello)).await;
        match message(&receive(&mut self.socket).await.unwrap()) {
            ServerMessage::Welcome { you, resumed, .. } => {
                assert_eq!(you, self.you);
                resumed
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next message; panics when the socket closes.
    pub async fn next(&mut self) -> ServerMessage {
        let text = receive(&mut self.socket).await.unwrap();
        let message = message(&text);
        self.frames.push(text);
        match &message {
            ServerMessage::Event { epoch, seq, event } => {
                assert_eq!(*epoch, self.seen.epoch);
                assert_eq!(*seq, self.seen.seq + 1, "an event is missing or came twice");
                self.seen.seq = *seq;
                apply(&mut self.room, event);
            }
            ServerMessage::Snapshot {
                epoch,
                seq,
                room,
                your_vote,
                ..
            } => {
                assert!(*epoch >= self.seen.epoch);
                self.seen = Resume {
                    epoch: *epoch,
                    seq: *seq,
                };
                self.room = (**room).clone();
                self.your_vote.clone_from(your_vote);
                self.snapshots += 1;
                self.send_unanswered().await;
            }
            ServerMessage::Ack { id, .. } => self.unanswered.retain(|(sent, _)| sent != id),
            ServerMessage::Error(ErrorMessage { id: Some(id), .. }) => {
                self.unanswered.retain(|(sent, _)| sent != id);
            }
            ServerMessage::YourVote { card, .. } => self.your_vote.clone_from(card),
            _ => {}
        }
        message
    }

    /// Reads messages until `wanted` returns a value.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(ServerMessage) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// Reads until the room is as wanted.
    pub async fn until_room(&mut self, wanted: impl Fn(&RoomView) -> bool) {
        while !wanted(&self.room) {
            self.next().await;
        }
    }

    /// Reads until there has been one more snapshot than `before`.
    pub async fn until_snapshot_after(&mut self, before: usize) {
        while self.snapshots <= before {
            self.next().await;
        }
    }

    /// Sends a command and returns its id.
    pub async fn send(&mut self, command: Command) -> String {
        self.commands += 1;
        let id = format!("{}-{}", self.name, self.commands);
        let message = ClientMessage::Command {
            id: id.clone(),
            command,
        };
        send(&mut self.socket, &message).await;
        self.unanswered.push((id.clone(), message));
        id
    }

    /// A snapshot replaces what was on its way, answers too.
    async fn send_unanswered(&mut self) {
        for (_, message) in &self.unanswered {
            send(&mut self.socket, message).await;
        }
    }

    /// Sends a command and waits for its answer.
    pub async fn command(&mut self, command: Command) -> Result<u64, ErrorMessage> {
        let sent = self.send(command).await;
        self.answer(&sent).await
    }

    /// Waits for the answer to a command.
    pub async fn answer(&mut self, sent: &str) -> Result<u64, ErrorMessage> {
        self.until(|message| match message {
            ServerMessage::Ack { id, seq } if id == *sent => Some(Ok(seq)),
            ServerMessage::Error(error) if error.id.as_deref() == Some(sent) => Some(Err(error)),
            _ => None,
        })
        .await
    }

    /// Votes in the round there is.
    pub async fn vote(&mut self, card: &str) -> Result<u64, ErrorMessage> {
        let (round, card) = (self.room.round.number, card.to_owned());
        self.command(Command::Vote { round, card }).await
    }

    /// Reveals the round there is, unless that has happened.
    pub async fn reveal(&mut self) {
        let round = self.room.round.number;
        if let Err(error) = self.command(Command::Reveal { round }).await {
            assert_eq!(error.code, ErrorCode::AlreadyRevealed);
        }
    }
}

/// What these tests look at of an event.
fn apply(room: &mut RoomView, event: &Event) {
    match event {
        Event::ParticipantJoined { participant } => room.participants.push(participant.clone()),
        Event::ParticipantChanged { participant } => {
            let known = room
                .participants
                .iter_mut()
                .find(|known| known.id == participant.id);
            *known.unwrap() = participant.clone();
        }
        Event::Voted {
            participant,
            has_voted,
        } => {
            room.round.voted.retain(|voter| voter != participant);
            if *has_voted {
                room.round.voted.push(participant.clone());
            }
        }
        Event::Revealed { votes, .. } => {
            room.round.phase = Phase::Revealed;
            room.round.votes = Some(votes.clone());
        }
        Event::RoundStarted { number, story } => {
            room.round.number = *number;
            room.round.story = *story;
            room.round.phase = Phase::Voting;
            room.round.voted.clear();
            room.round.votes = None;
        }
        Event::StoriesChanged { stories } => room.stories.clone_from(stories),
        _ => {}
    }
}

pub async fn send(socket: &mut Socket, message: &ClientMessage) {
    send_text(socket, &serde_json::to_string(message).unwrap()).await;
}

pub async fn send_text(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
}

pub async fn send_binary(socket: &mut Socket, bytes: &'static [u8]) {
    socket
        .send(Message::Binary(Bytes::from_static(bytes)))
        .await
        .unwrap();
}

pub fn message(text: &str) -> ServerMessage {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
