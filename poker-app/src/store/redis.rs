//! The store on a Redis server: three scripts, one pipeline per group commit.

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

use super::{
    Claim, ClaimRequest, Committed, ReleaseRequest, RoomWrite, Stamp, StoreError,
    limits::{
        CLAIM_HOLD_DOWN_MS, OUTBOX_EVENTS_PER_ROOM_MAX, ROOM_EXPIRY_SECONDS, SCAN_KEYS,
        STORE_CONNECT_TIMEOUT, STORE_FULL_PERCENT, STORE_RECONNECT_DELAY_MAX, STORE_RECONNECT_DELAY_MIN,
        STORE_TIMEOUT,
    },
};

/// Rooms in Redis under `PREFIX:{TEAM}:room` (hash) and `PREFIX:{TEAM}:outbox` (list). The braces are part of the key:
/// they would keep both keys of a team in one slot of a Redis cluster.
#[derive(Clone)]
pub struct RedisStore {
    client: Client,
    connection: Arc<Mutex<Connection>>,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

/// The connection in use.
#[derive(Clone)]
struct Connection {
    manager: ConnectionManager,
    /// How many connections were dropped before it.
    number: u64,
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
    /// Does not connect: the calls below do, and reconnect after an outage.
    pub fn connect(url: &str, prefix: &str) -> Result<RedisStore, StoreError> {
        let info = url.into_connection_info().map_err(unavailable)?;
        let tcp = TcpSettings::default().set_nodelay(true);
        let client = Client::open(info.set_tcp_settings(tcp)).map_err(unavailable)?;
        let connection = Connection {
            manager: lazy(&client).map_err(unavailable)?,
            number: 0,
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

    /// Runs a call. A connection that does not answer is dropped: the server may have lost power, and its successor may
    /// have the same name.
    async fn call<T, F>(&self, call: impl FnOnce(ConnectionManager) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Connection { manager, number } = self.connection().clone();
        let limit = STORE_TIMEOUT + Duration::from_millis(100);
        match tokio::time::timeout(limit, call(manager)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if error.is_timeout() {
                    self.drop_connection(number)?;
                }
                Err(unavailable(error))
            }
            Err(_) => {
                self.drop_connection(number)?;
                Err(StoreError::Unavailable("timed out".into()))
            }
        }
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next call opens a new connection, unless another call has opened one already.
    fn drop_connection(&self, number: u64) -> Result<(), StoreError> {
        let mut connection = self.connection();
        if connection.number == number {
            *connection = Connection {
                manager: lazy(&self.client).map_err(unavailable)?,
                number: number + 1,
            };
        }
        Ok(())
    }

    pub async fn ping(&self) -> Result<(), StoreError> {
        self.call(|mut connection| async move { redis::cmd("PING").query_async(&mut connection).await })
            .await
    }

    pub async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let mut call = self.scripts.claim.key(self.room_key(&request.team));
        call.key(self.outbox_key(&request.team))
            .arg(request.table)
            .arg(&*request.owner)
            .arg(u8::from(request.create))
            .arg(CLAIM_HOLD_DOWN_MS)
            .arg(ROOM_EXPIRY_SECONDS)
            .arg(STORE_FULL_PERCENT);
        let call = &call;
        let answer: Vec<redis::Value> = self
            .call(|mut connection| async move { call.invoke_async(&mut connection).await })
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
            .arg(ROOM_EXPIRY_SECONDS)
            .arg(OUTBOX_EVENTS_PER_ROOM_MAX);
        for event in &write.history {
            command.arg(event);
        }
        command
    }

    pub async fn release(&self, owner: &str, rooms: &[ReleaseRequest]) -> Result<Vec<bool>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for room in rooms {
            pipeline
                .cmd("EVALSHA")
                .arg(self.scripts.release.get_hash())
                .arg(1)
                .arg(self.room_key(&room.team))
                .arg(room.epoch)
                .arg(owner)
                .arg(room.change);
        }
        let answers: Vec<RedisResult<bool>> = self.run_scripts(&self.scripts.release, &pipeline).await?;
        answers
            .into_iter()
            .map(|answer| answer.map_err(unavailable))
            .collect()
    }

    /// Runs a pipeline of calls of one script, and loads the script if the server does not have it (as after a restart).
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
        self.call(|mut connection| async move { script.load_async(&mut connection).await })
            .await?;
        self.run(pipeline).await
    }

    async fn run<T: FromRedisValue>(&self, pipeline: &redis::Pipeline) -> Result<T, StoreError> {
        self.call(|mut connection| async move { pipeline.query_async(&mut connection).await })
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

    pub async fn state(&self, team: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("HGET");
        command.arg(self.room_key(team)).arg("state");
        let command = &command;
        self.call(|mut connection| async move { command.query_async(&mut connection).await })
            .await
    }

    pub async fn outbox(&self, team: &str, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("LRANGE");
        let last = isize::try_from(limit).unwrap_or(isize::MAX) - 1;
        command.arg(self.outbox_key(team)).arg(0).arg(last);
        let command = &command;
        self.call(|mut connection| async move { command.query_async(&mut connection).await })
            .await
    }

    pub async fn outboxes(&self) -> Result<Vec<(Arc<str>, u64)>, StoreError> {
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
                .call(|mut connection| async move { command.query_async(&mut connection).await })
                .await?;
            let sizes = self.sizes(&keys).await?;
            let names = keys
                .iter()
                .filter_map(|key| key.strip_prefix(&head)?.strip_suffix("}:outbox"));
            let found = names.map(Arc::from).zip(sizes);
            teams.extend(found.filter(|(_, size)| *size > 0));
            cursor = next;
            if cursor == 0 {
                return Ok(teams);
            }
        }
    }

    /// The lengths of lists.
    async fn sizes(&self, keys: &[String]) -> Result<Vec<u64>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for key in keys {
            pipeline.cmd("LLEN").arg(key);
        }
        self.run(&pipeline).await
    }

    pub async fn trim(&self, team: &str, delivered: &[Vec<u8>]) -> Result<u64, StoreError> {
        let key = self.outbox_key(team);
        let mut pipeline = redis::pipe();
        for event in delivered {
            pipeline.cmd("LREM").arg(&key).arg(0).arg(event).ignore();
        }
        pipeline.cmd("LLEN").arg(&key);
        let [left]: [u64; 1] = self.run(&pipeline).await?;
        Ok(left)
    }
}

/// Connects when it is first used, and again whenever the connection breaks.
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
