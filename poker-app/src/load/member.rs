//! One participant's socket: joins, sends the requested commands, and reconnects.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt};
use poker_core::{
    limits::PROTOCOL_VERSION,
    protocol::{
        ClientMessage, Command, CreateRoom, DeckChoice, DeckKind, Event, Hello, RestartReason, Resume, Role,
        ServerMessage, close,
    },
};
use rand::Rng;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, interval_at, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, WebSocketConfig},
    },
};

use super::{
    frame::{self, Frame},
    limits::{
        CLOSE_TIMEOUT, HANDSHAKE_TIMEOUT, PING_INTERVAL, RECONNECT_DELAY_MAX, RECONNECT_DELAY_MIN,
        SILENCE_MAX, SOCKET_BUFFER_BYTES,
    },
    shared::Shared,
    stats::record,
    team::{Request, Team},
};

type Socket = WebSocketStream<TcpStream>;

pub struct Member {
    pub shared: Arc<Shared>,
    pub team: Arc<Team>,
    pub index: usize,
    /// Delay before it connects.
    pub delay: Duration,
    pub requests: mpsc::Receiver<Request>,
    pub memory: Memory,
}

/// The participant's state across reconnects.
#[derive(Default)]
pub struct Memory {
    position: Option<Resume>,
    round: u64,
    commands: u64,
    unanswered: VecDeque<Unanswered>,
    lost_at: Option<Instant>,
    failures: u32,
    /// On this connection.
    is_welcome: bool,
    has_state: bool,
    /// A snapshot arrived: it replaces the answers in flight.
    is_anew: bool,
}

struct Unanswered {
    id: String,
    text: String,
    request: Request,
}

/// Why a connection ended.
enum End {
    Finished,
    Lost {
        retry_after: Option<Duration>,
    },
    /// The server refuses this participant.
    Refused,
}

const LOST: End = End::Lost { retry_after: None };

impl Member {
    pub async fn run(mut self) {
        let closing = self.shared.closing.clone();
        tokio::select! {
            () = closing.cancelled() => return,
            () = self.await_turn() => {}
        }
        loop {
            match self.connection().await {
                End::Finished | End::Refused => return,
                End::Lost { retry_after } => {
                    let now = Instant::now();
                    self.memory.lost_at.get_or_insert(now);
                    let delay = retry_after.unwrap_or_else(|| reconnect_delay(self.memory.failures));
                    self.memory.failures += 1;
                    tokio::select! {
                        () = closing.cancelled() => return,
                        () = sleep(delay) => {}
                    }
                }
            }
        }
    }

    /// The first member creates the room; the others wait for it.
    async fn await_turn(&self) {
        sleep(self.delay).await;
        if self.index > 0 {
            let _ = self.team.created.subscribe().wait_for(|&created| created).await;
        }
    }

    async fn connection(&mut self) -> End {
        let began = Instant::now();
        (self.memory.is_welcome, self.memory.has_state) = (false, false);
        let mut socket = match timeout(HANDSHAKE_TIMEOUT, self.join(began)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(end)) => return end,
            Err(_) => return self.lost("handshake_timeout"),
        };
        let first_ping = Instant::now() + PING_INTERVAL.mul_f64(rand::rng().random());
        let mut pings = interval_at(first_ping, PING_INTERVAL);
        let mut heard_at = Instant::now();
        let closing = self.shared.closing.clone();
        loop {
            let outcome = tokio::select! {
                message = socket.next() => {
                    heard_at = Instant::now();
                    match self.receive(message) {
                        Ok(()) if self.memory.is_anew => self.send_unanswered(&mut socket).await,
                        outcome => outcome,
                    }
                }
                Some(request) = self.requests.recv() => self.send_command(&mut socket, request).await,
                _ = pings.tick() => {
                    if heard_at.elapsed() > SILENCE_MAX {
                        return self.lost("silent_server");
                    }
                    self.send(&mut socket, &ClientMessage::Ping {}).await
                }
                () = closing.cancelled() => {
                    let _ = timeout(CLOSE_TIMEOUT, socket.close(None)).await;
                    return End::Finished;
                }
            };
            if let Err(end) = outcome {
                return end;
            }
        }
    }

    /// Connects, sends the hello, and waits for the room's state.
    async fn join(&mut self, began: Instant) -> Result<Socket, End> {
        let shared = self.shared.clone();
        let Ok(_permit) = shared.handshakes.acquire().await else {
            return Err(End::Finished);
        };
        let mut socket = match self.connect().await {
            Ok(socket) => socket,
            Err(Error::Http(response)) => {
                return Err(self.lost(&format!("http_{}", response.status().as_u16())));
            }
            Err(_) => return Err(self.lost("connect")),
        };
        self.send(&mut socket, &self.hello()).await?;
        while !self.memory.has_state {
            let message = socket.next().await;
            self.receive(message)?;
        }
        self.joined(began);
        self.send_unanswered(&mut socket).await?;
        Ok(socket)
    }

    /// With the same ids: an applied command is only acknowledged.
    async fn send_unanswered(&mut self, socket: &mut Socket) -> Result<(), End> {
        self.memory.is_anew = false;
        let unanswered = self.memory.unanswered.iter();
        let texts: Vec<String> = unanswered.map(|command| command.text.clone()).collect();
        for text in texts {
            self.send_text(socket, text).await?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Socket, Error> {
        // The next gateway after a failure.
        let choice = self.index + self.memory.failures as usize;
        let gateway = &self.shared.gateways[choice % self.shared.gateways.len()];
        let stream = TcpStream::connect(&gateway.authority).await?;
        stream.set_nodelay(true)?;
        let url = format!("{}/ws?team={}", gateway.base, self.team.slug);
        let config = WebSocketConfig::default()
            .read_buffer_size(SOCKET_BUFFER_BYTES)
            .write_buffer_size(0);
        let (socket, _) = client_async_with_config(url, stream, Some(config)).await?;
        Ok(socket)
    }

    fn hello(&self) -> ClientMessage {
        let deck = DeckChoice {
            kind: DeckKind::Fibonacci,
            cards: None,
        };
        let name = format!("Load {}", self.team.slug);
        ClientMessage::Hello(Hello {
            protocol: PROTOCOL_VERSION,
            key: self.team.keys[self.index].clone(),
            name: format!("Member {}", self.index),
            role: Role::Voter,
            create: (self.index == 0).then_some(CreateRoom { name, deck }),
            resume: self.memory.position,
        })
    }

    fn joined(&mut self, began: Instant) {
        self.memory.failures = 0;
        let lost_at = self.memory.lost_at.take();
        let is_first = self.team.joined(self.index);
        let mut totals = self.shared.stats.totals();
        if is_first {
            totals.counts.sockets_joined += 1;
            record(&mut totals.connect, lost_at.unwrap_or(began).elapsed());
        } else {
            totals.counts.reconnects += 1;
            record(&mut totals.reconnect, lost_at.unwrap_or(began).elapsed());
        }
        drop(totals);
        if self.index == 0 {
            self.team.created.send_replace(true);
        }
    }

    async fn send_command(&mut self, socket: &mut Socket, request: Request) -> Result<(), End> {
        self.memory.commands += 1;
        let id = format!("c{}", self.memory.commands);
        let command = match request {
            Request::Vote { round, card } => Command::Vote {
                round,
                card: String::from(card),
            },
            Request::Reveal { round } => Command::Reveal { round },
            Request::VoteAgain { round } => Command::VoteAgain { round },
        };
        let text = to_text(&ClientMessage::Command {
            id: id.clone(),
            command,
        });
        self.memory.unanswered.push_back(Unanswered {
            id,
            text: text.clone(),
            request,
        });
        self.send_text(socket, text).await
    }

    async fn send(&self, socket: &mut Socket, message: &ClientMessage) -> Result<(), End> {
        self.send_text(socket, to_text(message)).await
    }

    async fn send_text(&self, socket: &mut Socket, text: String) -> Result<(), End> {
        match socket.send(Message::text(text)).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.closed(None)),
        }
    }

    fn receive(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(text))) => self.receive_text(&text),
            Some(Ok(Message::Close(frame))) => Err(self.closed(frame)),
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(self.closed(None)),
        }
    }

    fn receive_text(&mut self, text: &str) -> Result<(), End> {
        let Ok(frame) = frame::read(text) else {
            return Err(self.lost("bad_frame"));
        };
        match frame {
            Frame::Voted {
                epoch,
                seq,
                participant,
                has_voted,
            } => {
                self.advance(epoch, seq)?;
                if has_voted {
                    self.team
                        .saw_vote(self.memory.round, self.index, participant, &self.shared);
                }
                Ok(())
            }
            Frame::OtherEvent { epoch, seq } => self.advance(epoch, seq),
            Frame::Ack { id } => {
                if let Some(request) = self.answered(id) {
                    self.team.acked(self.index, &request, &self.shared);
                }
                Ok(())
            }
            Frame::Message(message) => self.receive_message(*message),
        }
    }

    fn receive_message(&mut self, message: ServerMessage) -> Result<(), End> {
        match message {
            ServerMessage::Welcome { resumed, .. } => self.welcome(resumed),
            ServerMessage::Snapshot { epoch, seq, room, .. } => {
                let is_move = std::mem::replace(&mut self.memory.has_state, true);
                self.shared.stats.count(|counts| {
                    counts.snapshots += 1;
                    counts.epochs_passed += u64::from(is_move);
                });
                self.memory.is_anew = true;
                self.memory.position = Some(Resume { epoch, seq });
                self.memory.round = room.round.number;
                self.team.saw_snapshot(&room.round, self.index, &self.shared);
            }
            ServerMessage::Event { epoch, seq, event } => {
                self.advance(epoch, seq)?;
                self.apply(event);
            }
            ServerMessage::Error(error) => {
                self.shared.stats.error(&error.code.name());
                if let Some(request) = error.id.and_then(|id| self.answered(&id)) {
                    self.team.refused(self.index, &request);
                }
            }
            ServerMessage::Notice { .. } => self.shared.stats.count(|counts| counts.notices += 1),
            ServerMessage::Ack { .. } | ServerMessage::YourVote { .. } | ServerMessage::Pong {} => {}
        }
        Ok(())
    }

    fn welcome(&mut self, resumed: bool) {
        let is_first = !std::mem::replace(&mut self.memory.is_welcome, true);
        if is_first && resumed {
            self.memory.has_state = true;
            self.shared.stats.count(|counts| counts.resumed_exactly += 1);
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Revealed { round, votes, .. } => {
                self.team.saw_revealed(round, self.index, &votes, &self.shared);
            }
            Event::RoundStarted { number, .. } => {
                self.memory.round = number;
                self.team.saw_opened(number);
            }
            _ => {}
        }
    }

    /// Events are consecutive; after a gap the page would resume as well.
    fn advance(&mut self, epoch: u64, seq: u64) -> Result<(), End> {
        match &mut self.memory.position {
            Some(position) if position.epoch == epoch && position.seq + 1 == seq => {
                position.seq = seq;
                Ok(())
            }
            _ => {
                self.shared.stats.count(|counts| counts.seq_gaps += 1);
                Err(LOST)
            }
        }
    }

    fn answered(&mut self, id: &str) -> Option<Request> {
        let position = self
            .memory
            .unanswered
            .iter()
            .position(|command| command.id == id)?;
        self.memory
            .unanswered
            .remove(position)
            .map(|command| command.request)
    }

    fn lost(&self, reason: &str) -> End {
        self.shared.stats.error(reason);
        LOST
    }

    fn closed(&self, frame: Option<CloseFrame>) -> End {
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        let name = code.map_or_else(|| String::from("none"), |code| code.to_string());
        self.shared.stats.closed_by_server(&name);
        match code {
            Some(close::BAD_HELLO..=close::TOO_MANY) => End::Refused,
            Some(close::SERVICE_RESTART) => {
                let reason = frame.and_then(|frame| serde_json::from_str(&frame.reason).ok());
                let delay = |RestartReason { retry_after_ms }| Duration::from_millis(retry_after_ms);
                End::Lost {
                    retry_after: reason.map(delay),
                }
            }
            _ => LOST,
        }
    }
}

/// Full jitter: between zero and a bound that doubles with every failure.
fn reconnect_delay(failures: u32) -> Duration {
    let bound = RECONNECT_DELAY_MIN
        .saturating_mul(1 << failures.min(16))
        .min(RECONNECT_DELAY_MAX);
    bound.mul_f64(rand::rng().random())
}

fn to_text(message: &ClientMessage) -> String {
    // Strings and numbers only: serialisation has no way to fail.
    serde_json::to_string(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnect_delays_are_random_within_a_growing_bound() {
        for (failures, bound_ms) in [(0, 100), (1, 200), (5, 3_200), (6, 5_000), (u32::MAX, 5_000)] {
            let delays: Vec<Duration> = (0..200).map(|_| reconnect_delay(failures)).collect();
            assert!(delays.iter().all(|delay| delay.as_millis() <= bound_ms));
            let distinct: std::collections::BTreeSet<&Duration> = delays.iter().collect();
            assert!(distinct.len() > 100, "jitter");
        }
    }
}
