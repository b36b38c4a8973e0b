//! The standalone role.

use std::{net::SocketAddr, path::Path};

use futures::SinkExt;
use poker_app::{cli::StandaloneArgs, standalone::Standalone};
use poker_core::{
    ErrorCode,
    limits::{MESSAGE_BYTES_MAX, STORY_TITLE_CHARS_MAX},
    protocol::{ClientMessage, Command, RestartReason, ServerMessage},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    client::{Client, hello, open, receive, send, send_binary, send_text},
    process::{Process, free_port, is_listening, local, until},
};

pub async fn start(data: &Path) -> (Standalone, SocketAddr) {
    let args = StandaloneArgs {
        listen: local(0),
        data: data.to_owned(),
        admin_listen: None,
        log: poker_service::logs::LogFormat::Text,
    };
    let standalone = Standalone::start(&args).await.unwrap();
    let address = standalone.address;
    (standalone, address)
}

/// Status and body of a request without a client library.
pub async fn http(address: SocketAddr, request: &str) -> (u16, String) {
    let (status, _, body) = http_whole(address, request).await;
    (status, body)
}

/// Status, head and body.
pub async fn http_whole(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let head = head.replace('\n', "\r\n");
    let length = body.len();
    let text = format!("{head}\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer[9..12].parse().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// The program as a process, listening.
pub async fn spawn(data: &Path, port: u16) -> Process {
    let listen = local(port).to_string();
    let process = Process::poker_app(&[
        "standalone",
        "--listen",
        &listen,
        "--data",
        data.to_str().unwrap(),
    ]);
    until("the program listens", async || is_listening(port).await).await;
    process
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_is_secret_until_the_reveal() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut ada = Client::join(address, "secret", "Ada").await;
    let mut ben = Client::join(address, "secret", "Ben").await;
    let mut cy = Client::join(address, "secret", "Cy").await;
    for card in ["xyzzy", "plugh", "xyzzy"] {
        ben.vote(card).await.unwrap();
    }
    assert_eq!(ben.your_vote.as_deref(), Some("xyzzy"));
    for watcher in [&mut ada, &mut cy] {
        watcher
            .until_room(|room| room.round.voted == [ben.you.clone()])
            .await;
    }
    let mut late = Client::join(address, "secret", "Dee").await;
    assert_eq!(late.room.round.voted, [ben.you.clone()]);
    assert_eq!(late.room.round.votes, None);
    assert_eq!(late.your_vote, None);
    late.command(Command::Rename { name: "Di".into() }).await.unwrap();
    ada.reveal().await;
    for watcher in [&mut ada, &mut cy, &mut late] {
        watcher.until_room(|room| room.round.votes.is_some()).await;
        let is_before = |frame: &&String| !frame.contains(r#""type":"revealed""#);
        for frame in watcher.frames.iter().take_while(is_before) {
            assert!(!frame.contains("xyzzy") && !frame.contains("plugh"), "{frame}");
        }
    }
    standalone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resumes_gets_exactly_the_missed_events() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut ada = Client::join(address, "resume", "Ada").await;
    let mut ben = Client::join(address, "resume", "Ben").await;
    ben.socket.close(None).await.unwrap();
    for title in ["a", "b", "c"] {
        let titles = vec![title.to_owned()];
        ada.command(Command::AddStories { titles }).await.unwrap();
    }
    assert!(ben.return_to(address, "resume").await, "the gap is small");
    // `next` checks that every event is the one after the last.
    ben.until_room(|room| room.stories.len() == 3).await;
    assert_eq!(ben.snapshots, 1);
    ben.vote("2").await.unwrap();
    standalone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_of_one_participant_both_show_the_vote() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut one = Client::join(address, "tabs", "Ada").await;
    let mut two = Client::join(address, "tabs", "Ada").await;
    assert_eq!(one.you, two.you);
    assert_eq!(two.room.participants.len(), 1);
    one.vote("xyzzy").await.unwrap();
    let card = two
        .until(|message| match message {
            ServerMessage::YourVote { card, .. } => Some(card),
            _ => None,
        })
        .await;
    assert_eq!(card.as_deref(), Some("xyzzy"));
    one.socket.close(None).await.unwrap();
    two.vote("1").await.unwrap();
    let three = Client::join(address, "tabs", "Ben").await;
    assert!(three.room.participants[0].connected, "one tab is still open");
    standalone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_frames_are_refused_and_the_socket_stays_open() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut ada = Client::join(address, "wrong", "Ada").await;
    let mut ben = Client::join(address, "wrong", "Ben").await;
    let frames = [
        ("{", ErrorCode::Malformed),
        (r#"{"type":"dance"}"#, ErrorCode::UnknownType),
        (
            r#"{"type":"command","command":{"type":"reveal","round":1}}"#,
            ErrorCode::InvalidId,
        ),
        (
            r#"{"type":"command","id":"x","command":{"type":"dance"}}"#,
            ErrorCode::UnknownType,
        ),
        (
            r#"{"type":"command","id":"x","command":{"type":"vote","round":"one"}}"#,
            ErrorCode::Malformed,
        ),
        (r#"{"type":"hello","protocol":1}"#, ErrorCode::BadHello),
    ];
    for (text, expected) in frames {
        send_text(&mut ben.socket, text).await;
        let code = ben.until(error_code).await;
        assert_eq!(code, expected, "{text}");
    }
    send_binary(&mut ben.socket, b"\x00\xff").await;
    assert_eq!(ben.until(error_code).await, ErrorCode::Malformed);
    let out_of_turn = [
        (Command::Reveal { round: 1 }, ErrorCode::NotFacilitator),
        (
            Command::Vote {
                round: 9,
                card: "1".into(),
            },
            ErrorCode::StaleRound,
        ),
        (
            Command::Vote {
                round: 1,
                card: "7".into(),
            },
            ErrorCode::UnknownCard,
        ),
        (Command::TakeFacilitator {}, ErrorCode::FacilitatorPresent),
    ];
    for (command, expected) in out_of_turn {
        assert_eq!(ben.command(command).await.unwrap_err().code, expected);
    }
    send_text(&mut ben.socket, r#"{"type":"ping"}"#).await;
    ben.until(|message| matches!(message, ServerMessage::Pong {}).then_some(()))
        .await;
    ben.vote("1").await.unwrap();
    ada.vote("2").await.unwrap();
    standalone.stop().await;
}

/// More commands than may be unanswered at once: one without an answer would keep its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_commands_block_no_later_command() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut ada = Client::join(address, "malformed", "Ada").await;
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let commands = [r#""reveal""#, r#"{"type":7}"#, "[]", "null", &deep];
    for (n, command) in commands.iter().cycle().take(30).enumerate() {
        let id = format!("m{n}");
        let text = format!(r#"{{"type":"command","id":"{id}","command":{command}}}"#);
        send_text(&mut ada.socket, &text).await;
        let error = ada
            .until(|message| match message {
                ServerMessage::Error(error) => Some(error),
                _ => None,
            })
            .await;
        assert_eq!((error.code, error.id), (ErrorCode::Malformed, Some(id)), "{text}");
    }
    for id in ["  ", "\\u0007"].iter().cycle().take(20) {
        let text = format!(r#"{{"type":"command","id":"{id}","command":{{"type":"reveal","round":1}}}}"#);
        send_text(&mut ada.socket, &text).await;
        assert_eq!(ada.until(error_code).await, ErrorCode::InvalidId);
    }
    ada.vote("2").await.unwrap();
    standalone.stop().await;
}

fn error_code(message: ServerMessage) -> Option<ErrorCode> {
    match message {
        ServerMessage::Error(error) => Some(error.code),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_rate_limited_and_an_oversized_frame_closes_only_its_socket() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut ada = Client::join(address, "flood", "Ada").await;
    let mut ben = Client::join(address, "flood", "Ben").await;
    for _ in 0..150 {
        ben.socket.feed(ping()).await.unwrap();
    }
    ben.socket.flush().await.unwrap();
    assert_eq!(ben.until(error_code).await, ErrorCode::RateLimited);
    let huge = format!(r#"{{"type":"ping","x":"{}"}}"#, "x".repeat(MESSAGE_BYTES_MAX));
    send_text(&mut ben.socket, &huge).await;
    let end = loop {
        if let Err(end) = receive(&mut ben.socket).await {
            break end.unwrap();
        }
    };
    assert_eq!(
        (u16::from(end.code), end.reason.as_str()),
        (1009, "message_too_large")
    );
    ada.vote("2").await.unwrap();
    standalone.stop().await;
}

fn ping() -> tokio_tungstenite::tungstenite::Message {
    tokio_tungstenite::tungstenite::Message::text(r#"{"type":"ping"}"#)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_hello_gets_an_error_and_a_close_code() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let no_create = ClientMessage::Hello(hello("Ada", false, None));
    let mut bad_key = hello("Ada", true, None);
    bad_key.key = "short".into();
    let mut old = hello("Ada", true, None);
    old.protocol = 0;
    let cases = [
        (serde_json::to_string(&no_create).unwrap(), 4001, "team_not_found"),
        (hello_text(bad_key), 4000, "bad_hello"),
        (hello_text(old), 4000, "unsupported_protocol"),
        (
            r#"{"type":"command","id":"a","command":{"type":"reveal","round":1}}"#.to_owned(),
            4000,
            "bad_hello",
        ),
        ("nonsense".to_owned(), 4000, "bad_hello"),
    ];
    for (number, (text, code, reason)) in cases.into_iter().enumerate() {
        let mut socket = open(address, &format!("missing-{number}")).await;
        send_text(&mut socket, &text).await;
        let error = receive(&mut socket).await.unwrap();
        assert!(error.contains(r#""type":"error""#), "{error}");
        let frame = receive(&mut socket).await.unwrap_err().unwrap();
        assert_eq!(
            (u16::from(frame.code), frame.reason.as_str()),
            (code, reason),
            "{text}"
        );
    }
    let (status, _) = http(address, "GET /ws?team=NO HTTP/1.1\nconnection: upgrade\nupgrade: websocket\nsec-websocket-version: 13\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==").await;
    assert_eq!(status, 400);
    standalone.stop().await;
}

fn hello_text(hello: poker_core::protocol::Hello) -> String {
    serde_json::to_string(&ClientMessage::Hello(hello)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_shows_the_name_and_is_not_seen_in_the_room() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let address = local(port);
    let mut process = spawn(data.path(), port).await;
    let preview = "GET /api/teams/seen HTTP/1.1";
    let (status, body) = http(address, preview).await;
    assert_eq!((status, body.contains("team_not_found")), (404, true), "{body}");
    let mut ada = Client::join(address, "seen", "Ada").await;
    ada.vote("xyzzy").await.unwrap();
    let (status, body) = http(address, preview).await;
    assert_eq!((status, &*body), (200, r#"{"slug":"seen","name":"Blue"}"#));
    let name = "Crème & <Brûlée>".to_owned();
    ada.command(Command::RenameTeam { name }).await.unwrap();
    let (_, body) = http(address, preview).await;
    assert_eq!(body, r#"{"slug":"seen","name":"Crème & <Brûlée>"}"#);
    let titles = vec!["Login".to_owned()];
    ada.command(Command::AddStories { titles }).await.unwrap();
    ada.until_room(|room| room.stories.len() == 1).await;
    let about_people = |frame: &&String| frame.contains(r#""type":"participant_"#);
    assert_eq!(ada.frames.iter().find(about_people), None);
    process.terminate();
    assert!(process.ended().await.success());

    // From the store, before the room is open.
    let _process = spawn(data.path(), port).await;
    let (status, body) = http(address, preview).await;
    assert_eq!((status, body.contains("Crème")), (200, true), "{body}");
    let (status, _) = http(address, "GET /api/teams/NO HTTP/1.1").await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_are_delivered_and_resumed_without_a_snapshot() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let mut ada = Client::join(address, "large", "Ada").await;
    let mut ben = Client::join(address, "large", "Ben").await;
    let mut cy = Client::join(address, "large", "Cy").await;
    cy.socket.close(None).await.unwrap();
    for _ in 0..2 {
        let titles = vec!["故".repeat(STORY_TITLE_CHARS_MAX); 90];
        ada.command(Command::AddStories { titles }).await.unwrap();
    }
    for client in [&mut ada, &mut ben] {
        client.until_room(|room| room.stories.len() == 180).await;
        assert_eq!(client.snapshots, 1, "a large event is an event");
    }
    assert!(
        cy.return_to(address, "large").await,
        "100 KiB and more are in the ring"
    );
    cy.until_room(|room| room.stories.len() == 180).await;
    assert_eq!(cy.snapshots, 1);
    let missed: usize = cy.frames.iter().map(String::len).sum();
    assert!(missed > 100 * 1024, "{missed}");
    standalone.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_closes_sockets_with_a_retry_delay_and_exits_cleanly() {
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut process = spawn(data.path(), port).await;
    let mut ada = Client::join(local(port), "bye", "Ada").await;
    let mut silent = open(local(port), "bye").await;
    ada.vote("2").await.unwrap();
    process.terminate();
    let frame = loop {
        if let Err(frame) = receive(&mut ada.socket).await {
            break frame.unwrap();
        }
    };
    assert_eq!(u16::from(frame.code), 1012);
    let reason: RestartReason = serde_json::from_str(&frame.reason).unwrap();
    assert!(reason.retry_after_ms <= 1_000);
    while receive(&mut silent).await.is_ok() {}
    assert!(process.ended().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_has_a_content_security_policy_without_foreign_scripts() {
    let data = tempfile::tempdir().unwrap();
    let (standalone, address) = start(data.path()).await;
    let (status, head, page) = http_whole(address, "GET /t/blue HTTP/1.1").await;
    assert_eq!(status, 200);
    let policy = head
        .lines()
        .find_map(|line| line.strip_prefix("content-security-policy: "))
        .unwrap();
    let scripts = policy.split(';').find(|part| part.contains("script-src"));
    assert_eq!(scripts.map(str::trim), Some("script-src 'self'"), "{policy}");
    assert!(page.contains("<html"));
    let (status, body) = http(address, "GET /api/nothing HTTP/1.1").await;
    assert_eq!(status, 404);
    assert!(body.contains("not_found"));
    let mut ada = Client::join(address, "page", "Ada").await;
    send(&mut ada.socket, &ClientMessage::Ping {}).await;
    standalone.stop().await;
}
