//! The store on a Redis server: three scripts, one pipeline a tick.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use super::{Claim, ClaimRequest, Committed, RoomWrite, Stamp, StoreError};
use crate::shard::limits::{
    HOLD_DOWN_MS, OUTBOX_EVENTS_PER_ROOM, ROOM_KEPT_SECONDS, STORE_CONNECT_TIMEOUT, STORE_FULL_PERCENT,
    STORE_RECONNECT_DELAY_MAX, STORE_RECONNECT_DELAY_MIN, STORE_TIMEOUT,
};

/// Keys looked at by one step of a scan.
const SCAN_KEYS: usize = 1_000;

/// Rooms in Redis under `PREFIX:{TEAM}:room` (hash) and `PREFIX:{TEAM}:outbox` (list). The braces are part of the
/// key, so that both keys of a team stay in one slot should the server be a cluster one day.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    connection: Arc<Mutex<Connection>>,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

/// The connection in use, and the number of those before it.
#[derive(Clone)]
struct Connection {
    manager: ConnectionManager,
    given_up: u64,
}

struct Scripts {
    claim: redis::Script,
    commit: redis::Script,
    release: redis::Script,
}

impl Scripts {
    fn new() -> Scripts {
        Scripts {
            claim: redis::Script::new(include_str!("claim.lua")),
            commit: redis::Script::new(include_str!("commit.lua")),
            release: redis::Script::new(include_str!("release.lua")),
        }
    }
}

impl RedisStore {
    /// Does not wait for the server: a server that is away is found again by the calls below.
    pub fn connect(url: &str, prefix: &str) -> Result<RedisStore, StoreError> {
        let info = url.into_connection_info().map_err(unavailable)?;
        let tcp = TcpSettings::default().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(unavailable)?;
        let connection = Connection {
            manager: lazy(&client).map_err(unavailable)?,
            given_up: 0,
        };
        Ok(RedisStore {
            client,
            connection: Arc::new(Mutex::new(connection)),
            prefix: prefix.into(),
            scripts: Arc::new(Scripts::new()),
        })
    }

    fn room_key(&self, team: &str) -> String {
        format!("{}:{{{team}}}:room", self.prefix)
    }

    fn outbox_key(&self, team: &str) -> String {
        format!("{}:{{{team}}}:outbox", self.prefix)
    }

    /// Lets `call` ask the server. A connection on which an answer does not come is given up: its server may be gone
    /// without a word, and another stand behind the same name.
    async fn ask<T, F>(&self, call: impl FnOnce(ConnectionManager) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Connection { manager, given_up } = self.connection().clone();
        let limit = STORE_TIMEOUT + Duration::from_millis(100);
        match tokio::time::timeout(limit, call(manager)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if error.is_timeout() {
                    self.give_up(given_up)?;
                }
                Err(unavailable(error))
            }
            Err(_) => {
                self.give_up(given_up)?;
                Err(StoreError::Unavailable("timed out".into()))
            }
        }
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Further calls take a new connection, if nobody was faster.
    fn give_up(&self, number: u64) -> Result<(), StoreError> {
        let mut connection = self.connection();
        if connection.given_up == number {
            *connection = Connection {
                manager: lazy(&self.client).map_err(unavailable)?,
                given_up: number + 1,
            };
        }
        Ok(())
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
        self.ask(|mut connection| async move { redis::cmd("PING").query_async(&mut connection).await })
            .await
    }

    pub async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let mut call = self.scripts.claim.key(self.room_key(&request.team));
        call.key(self.outbox_key(&request.team))
            .arg(request.table)
            .arg(&*request.owner)
            .arg(u8::from(request.create))
            .arg(HOLD_DOWN_MS)
            .arg(ROOM_KEPT_SECONDS)
            .arg(STORE_FULL_PERCENT);
        let call = &call;
        let answer: Vec<redis::Value> = self
            .ask(|mut connection| async move { call.invoke_async(&mut connection).await })
            .await?;
        read_claim(answer)
    }

    pub async fn commit(
        &self,
        writes: &[RoomWrite],
    ) -> Result<Vec<Result<Committed, StoreError>>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for write in writes {
            pipeline.add_command(self.commit_command(write));
        }
        let answers: Vec<RedisResult<Vec<String>>> =
            self.run_scripts(&self.scripts.commit, &pipeline).await?;
        Ok(answers.into_iter().map(read_commit).collect())
    }

    fn commit_command(&self, write: &RoomWrite) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(self.scripts.commit.get_hash())
            .arg(2)
            .arg(self.room_key(&write.team))
            .arg(self.outbox_key(&write.team))
            .arg(write.epoch)
            .arg(write.change)
            .arg(write.table)
            .arg(&*write.owner)
            .arg(&write.state)
            .arg(ROOM_KEPT_SECONDS)
            .arg(OUTBOX_EVENTS_PER_ROOM);
        for event in &write.history {
            command.arg(event);
        }
        command
    }

    pub async fn release(&self, owner: &str, rooms: &[(Arc<str>, u64)]) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for (team, epoch) in rooms {
            pipeline
                .cmd("EVALSHA")
                .arg(self.scripts.release.get_hash())
                .arg(1)
                .arg(self.room_key(team))
                .arg(*epoch)
                .arg(owner);
        }
        let answers: Vec<RedisResult<i64>> = self.run_scripts(&self.scripts.release, &pipeline).await?;
        answers
            .into_iter()
            .try_for_each(|answer| answer.map(|_| ()).map_err(unavailable))
    }

    /// Runs a pipeline of calls of one script, loading the script first where the server does not know it
    /// (it forgets when it restarts).
    async fn run_scripts<T: FromRedisValue>(
        &self,
        script: &redis::Script,
        pipeline: &redis::Pipeline,
    ) -> Result<Vec<RedisResult<T>>, StoreError> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        let answers: Vec<RedisResult<T>> = self.run(pipeline).await?;
        if !answers.iter().any(is_no_script) {
            return Ok(answers);
        }
        self.ask(|mut connection| async move { script.load_async(&mut connection).await })
            .await?;
        self.run(pipeline).await
    }

    async fn run<T: FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T, StoreError> {
        self.ask(|mut connection| async move { pipeline.query_async(&mut connection).await })
            .await
    }

    pub async fn check(&self, teams: &[Arc<str>]) -> Result<Vec<Option<Stamp>>, StoreError> {
        if teams.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for team in teams {
            pipeline
                .cmd("HMGET")
                .arg(self.room_key(team))
                .arg(&["epoch", "change", "table", "owner"]);
        }
        type Row = (Option<u64>, Option<u64>, Option<u64>, Option<String>);
        let rows: Vec<Row> = self.run(&pipeline).await?;
        Ok(rows
            .into_iter()
            .map(|(epoch, change, table, owner)| {
                Some(Stamp {
                    epoch: epoch?,
                    change: change.unwrap_or(0),
                    table: table?,
                    owner: owner?,
                })
            })
            .collect())
    }

    pub async fn outbox(&self, team: &str, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("LRANGE");
        let last = isize::try_from(limit).unwrap_or(isize::MAX) - 1;
        command.arg(self.outbox_key(team)).arg(0).arg(last);
        let command = &command;
        self.ask(|mut connection| async move { command.query_async(&mut connection).await })
            .await
    }

    pub async fn outboxes(&self) -> Result<Vec<Arc<str>>, StoreError> {
        let head = format!("{}:{{", self.prefix);
        let mut teams = Vec::new();
        let mut cursor = 0u64;
        loop {
            let mut command = redis::cmd("SCAN");
            command
                .arg(cursor)
                .arg("MATCH")
                .arg(format!("{head}*}}:outbox"))
                .arg("COUNT")
                .arg(SCAN_KEYS);
            let command = &command;
            let (next, keys): (u64, Vec<String>) = self
                .ask(|mut connection| async move { command.query_async(&mut connection).await })
                .await?;
            let names = keys
                .iter()
                .filter_map(|key| key.strip_prefix(&head)?.strip_suffix("}:outbox"));
            teams.extend(names.map(Arc::from));
            cursor = next;
            if cursor == 0 {
                return Ok(teams);
            }
        }
    }

    pub async fn trim(&self, team: &str, delivered: &[Vec<u8>]) -> Result<(), StoreError> {
        let key = self.outbox_key(team);
        let mut pipeline = redis::pipe();
        for event in delivered {
            pipeline.cmd("LREM").arg(&key).arg(0).arg(event).ignore();
        }
        self.run(&pipeline).await
    }
}

/// Connects when it is first needed, and again whenever the connection breaks.
fn lazy(client: &Client) -> RedisResult<ConnectionManager> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(STORE_CONNECT_TIMEOUT))
        .set_response_timeout(Some(STORE_TIMEOUT))
        .set_min_delay(STORE_RECONNECT_DELAY_MIN)
        .set_max_delay(STORE_RECONNECT_DELAY_MAX);
    ConnectionManager::new_lazy_with_config(client.clone(), config)
}

fn is_no_script<T>(answer: &RedisResult<T>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript))
}

fn read_claim(answer: Vec<redis::Value>) -> Result<Claim, StoreError> {
    let mut fields = answer.into_iter();
    let mut next = || fields.next().unwrap_or(redis::Value::Nil);
    match read::<String>(next())?.as_str() {
        "owned" => {
            let epoch = read(next())?;
            let state: Vec<u8> = read(next())?;
            let outbox = read(next())?;
            Ok(Claim::Owned {
                epoch,
                state: (!state.is_empty()).then_some(state),
                outbox,
            })
        }
        "missing" => Ok(Claim::Missing),
        "full" => Ok(Claim::Full),
        "refused" => Ok(Claim::Refused {
            owner: read(next())?,
            table: read(next())?,
        }),
        other => Err(StoreError::Unexpected(format!("claim answered {other}"))),
    }
}

fn read<T: FromRedisValue>(value: redis::Value) -> Result<T, StoreError> {
    redis::from_redis_value(value).map_err(|error| StoreError::Unexpected(error.to_string()))
}

fn read_commit(answer: RedisResult<Vec<String>>) -> Result<Committed, StoreError> {
    let answer = answer.map_err(unavailable)?;
    match answer.as_slice() {
        [word] if word == "stored" => Ok(Committed::Stored),
        [word, owner, table] if word == "lost" => Ok(Committed::Lost {
            owner: owner.clone(),
            table: table.parse().unwrap_or(0),
        }),
        _ => Err(StoreError::Unexpected("unknown answer to a commit".into())),
    }
}

fn unavailable(error: RedisError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
