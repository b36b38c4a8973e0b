//! History in PostgreSQL.

use std::{future::Future, str::FromStr, sync::Arc, time::Duration};

use futures::future::try_join_all;
use poker_core::history::{HistoryEvent, HistoryKind, HistoryRound, HistoryStats, HistoryStory, HistoryVote};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, NoTls, Row, Statement, Transaction, error::SqlState, types::ToSql};

use super::{
    HistoryError, Written,
    limits::{DATABASE_CONNECT_TIMEOUT, DATABASE_TIMEOUT, HISTORY_ROUNDS_READ_MAX},
    migrations,
    projection::time_text,
};

/// One connection for reads and one for writes, opened when needed and reopened after a failure. Cheap to clone.
#[derive(Clone)]
pub struct PostgresHistory {
    config: Arc<Config>,
    reader: Arc<Mutex<Option<Arc<Client>>>>,
    writer: Arc<Mutex<Option<Writer>>>,
}

/// A connection with its prepared statements.
struct Writer {
    client: Client,
    statements: Statements,
}

struct Statements {
    insert_event: Statement,
    upsert_team: Statement,
    upsert_round: Statement,
    delete_votes: Statement,
    insert_votes: Statement,
    upsert_estimate: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Statements, tokio_postgres::Error> {
        Ok(Statements {
            insert_event: client.prepare(INSERT_EVENT).await?,
            upsert_team: client.prepare(UPSERT_TEAM).await?,
            upsert_round: client.prepare(UPSERT_ROUND).await?,
            delete_votes: client.prepare(DELETE_VOTES).await?,
            insert_votes: client.prepare(INSERT_VOTES).await?,
            upsert_estimate: client.prepare(UPSERT_ESTIMATE).await?,
        })
    }
}

/// Inserts no row if the event is already stored.
const INSERT_EVENT: &str = "
INSERT INTO events (team, epoch, seq, kind, at, body)
VALUES ($1, $2, $3, $4, to_timestamp($5::bigint / 1000.0), $6) ON CONFLICT DO NOTHING";

const UPSERT_TEAM: &str = "
INSERT INTO teams (team, name, epoch, seq) VALUES ($1, $2, $3, $4)
ON CONFLICT (team) DO UPDATE SET name = excluded.name, epoch = excluded.epoch, seq = excluded.seq
WHERE (teams.epoch, teams.seq) < (excluded.epoch, excluded.seq)";

const UPSERT_ROUND: &str = "
INSERT INTO rounds (team, room, round, story_id, story_title, revealed_at, median, mean, agreement, epoch, seq)
VALUES ($1, $2, $3, $4, $5, to_timestamp($6::bigint / 1000.0), $7, $8, $9, $10, $11)
ON CONFLICT (team, room, round) DO UPDATE SET
  story_id = excluded.story_id, story_title = excluded.story_title, revealed_at = excluded.revealed_at,
  median = excluded.median, mean = excluded.mean, agreement = excluded.agreement,
  epoch = excluded.epoch, seq = excluded.seq
WHERE (rounds.epoch, rounds.seq) < (excluded.epoch, excluded.seq)";

const DELETE_VOTES: &str = "
DELETE FROM votes WHERE team = $1 AND room = $2 AND round = $3
AND EXISTS (SELECT FROM rounds WHERE team = $1 AND room = $2 AND round = $3 AND epoch = $4 AND seq = $5)";

const INSERT_VOTES: &str = "
INSERT INTO votes (team, room, round, participant, name, card, position)
SELECT $1, $2, $3, vote.participant, vote.name, vote.card, vote.position::integer
FROM unnest($6::text[], $7::text[], $8::text[]) WITH ORDINALITY AS vote (participant, name, card, position)
WHERE EXISTS (SELECT FROM rounds WHERE team = $1 AND room = $2 AND round = $3 AND epoch = $4 AND seq = $5)
ON CONFLICT DO NOTHING";

const UPSERT_ESTIMATE: &str = "
INSERT INTO rounds (team, room, round, story_id, story_title, estimate, estimate_epoch, estimate_seq)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (team, room, round) DO UPDATE SET
  estimate = excluded.estimate, estimate_epoch = excluded.estimate_epoch, estimate_seq = excluded.estimate_seq
WHERE (rounds.estimate_epoch, rounds.estimate_seq) < (excluded.estimate_epoch, excluded.estimate_seq)";

const SELECT_ROUNDS: &str = "
SELECT r.round, r.story_id, r.story_title, (extract(epoch FROM r.revealed_at) * 1000)::bigint,
  r.median, r.mean, r.agreement, r.estimate,
  array_agg(v.participant ORDER BY v.position) FILTER (WHERE v.participant IS NOT NULL),
  array_agg(v.name ORDER BY v.position) FILTER (WHERE v.participant IS NOT NULL),
  array_agg(v.card ORDER BY v.position) FILTER (WHERE v.participant IS NOT NULL)
FROM (SELECT * FROM rounds WHERE team = $1 AND revealed_at IS NOT NULL
      ORDER BY revealed_at DESC, round DESC LIMIT $2) r
LEFT JOIN votes v ON v.team = r.team AND v.room = r.room AND v.round = r.round
GROUP BY r.team, r.room, r.round, r.story_id, r.story_title, r.revealed_at, r.median, r.mean, r.agreement, r.estimate
ORDER BY r.revealed_at DESC, r.round DESC";

impl PostgresHistory {
    /// Does not connect: the calls below do.
    pub fn new(url: &str) -> Result<PostgresHistory, HistoryError> {
        // The error may quote parts of the URL, including the password: report only its kind.
        let mut config =
            Config::from_str(url).map_err(|_| HistoryError::Url("it cannot be parsed".into()))?;
        config
            .connect_timeout(DATABASE_CONNECT_TIMEOUT)
            .keepalives_idle(Duration::from_secs(30))
            .tcp_user_timeout(2 * DATABASE_TIMEOUT)
            .application_name("poker-app")
            .options(format!("-c statement_timeout={}", DATABASE_TIMEOUT.as_millis()));
        Ok(PostgresHistory {
            config: Arc::new(config),
            reader: Arc::default(),
            writer: Arc::default(),
        })
    }

    async fn connect(&self) -> Result<Client, HistoryError> {
        let (client, connection) = bounded(self.config.connect(NoTls)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "history database connection ended");
            }
        });
        Ok(client)
    }

    /// Creates the tables, or migrates them.
    pub async fn migrate(&self) -> Result<(), HistoryError> {
        let mut client = self.connect().await?;
        bounded(migrations::migrate(&mut client)).await
    }

    pub async fn rounds(&self, team: &str) -> Result<Vec<HistoryRound>, HistoryError> {
        let client = self.reader().await?;
        let limit = HISTORY_ROUNDS_READ_MAX as i64;
        let rows = bounded(async {
            match client.query(SELECT_ROUNDS, &[&team, &limit]).await {
                // No worker has created the tables yet: there is no history.
                Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(Vec::new()),
                other => other,
            }
        })
        .await;
        if rows.is_err() {
            self.drop_reader(&client).await;
        }
        Ok(rows?.iter().map(read_round).collect())
    }

    /// A database that lost power leaves a connection that looks open: the next query opens another one.
    async fn drop_reader(&self, client: &Arc<Client>) {
        let mut reader = self.reader.lock().await;
        if reader.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, client)) {
            *reader = None;
        }
    }

    async fn reader(&self) -> Result<Arc<Client>, HistoryError> {
        let mut reader = self.reader.lock().await;
        if let Some(client) = reader.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = Arc::new(self.connect().await?);
        *reader = Some(client.clone());
        Ok(client)
    }

    /// Writes all events in one transaction; if the database rejects one of them, each in its own.
    pub async fn write(&self, events: &[HistoryEvent]) -> Result<Written, HistoryError> {
        let mut kept = self.writer.lock().await;
        // Taken out during the call: a cancelled call leaves its connection in an unknown state.
        let mut writer = match kept.take().filter(|writer| !writer.client.is_closed()) {
            Some(writer) => writer,
            None => self.connect_writer().await?,
        };
        let written = match bounded_write(&mut writer, events).await {
            Ok(written) => written,
            Err(WriteError::Data) => write_each(&mut writer, events).await?,
            Err(WriteError::Other(error)) => return Err(error),
        };
        *kept = Some(writer);
        Ok(written)
    }

    async fn connect_writer(&self) -> Result<Writer, HistoryError> {
        let client = self.connect().await?;
        let statements = bounded(Statements::prepare(&client)).await?;
        Ok(Writer { client, statements })
    }
}

async fn write_each(writer: &mut Writer, events: &[HistoryEvent]) -> Result<Written, HistoryError> {
    let mut written = Written::default();
    for event in events {
        match bounded_write(writer, std::slice::from_ref(event)).await {
            Ok(one) => {
                written.stored += one.stored;
                written.repeated += one.repeated;
            }
            Err(WriteError::Data) => written.refused += 1,
            Err(WriteError::Other(error)) => return Err(error),
        }
    }
    Ok(written)
}

enum WriteError {
    /// The database rejects a value and always will.
    Data,
    Other(HistoryError),
}

async fn bounded_write(writer: &mut Writer, events: &[HistoryEvent]) -> Result<Written, WriteError> {
    let Writer { client, statements } = writer;
    let work = async {
        let transaction = client.transaction().await?;
        let written = write_all(&transaction, statements, events).await?;
        transaction.commit().await?;
        Ok(written)
    };
    match tokio::time::timeout(2 * DATABASE_TIMEOUT, work).await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(error)) => Err(write_error(error)),
        Err(_) => Err(WriteError::Other(HistoryError::Unavailable("timed out".into()))),
    }
}

fn write_error(error: tokio_postgres::Error) -> WriteError {
    // Class 22: data exception, 23: integrity constraint violation.
    let class = error.code().map(|code| &code.code()[..2]);
    match class {
        Some("22" | "23") => WriteError::Data,
        _ => WriteError::Other(unavailable(error)),
    }
}

async fn write_all(
    transaction: &Transaction<'_>,
    statements: &Statements,
    events: &[HistoryEvent],
) -> Result<Written, tokio_postgres::Error> {
    let inserts = events.iter().map(|event| async move {
        let body = serde_json::to_value(event).unwrap_or_default();
        let (epoch, seq, at) = (big(event.epoch), big(event.seq), big(event.at_ms));
        let kind = kind_of(event);
        let row: [&(dyn ToSql + Sync); 6] = [&event.team, &epoch, &seq, &kind, &at, &body];
        transaction.execute(&statements.insert_event, &row).await
    });
    // Polled together, so that the statements are pipelined.
    let inserted = try_join_all(inserts).await?;
    let mut written = Written::default();
    for (event, rows) in events.iter().zip(inserted) {
        if rows == 0 {
            written.repeated += 1;
            continue;
        }
        written.stored += 1;
        project(transaction, statements, event).await?;
    }
    Ok(written)
}

fn kind_of(event: &HistoryEvent) -> &str {
    match &event.kind {
        HistoryKind::RoundRevealed { .. } => "round_revealed",
        HistoryKind::EstimateSaved { .. } => "estimate_saved",
        HistoryKind::TeamNamed { .. } => "team_named",
        HistoryKind::Unknown(unknown) => &unknown.kind,
    }
}

/// Applies a new event to the tables that reports read.
async fn project(
    transaction: &Transaction<'_>,
    statements: &Statements,
    event: &HistoryEvent,
) -> Result<(), tokio_postgres::Error> {
    let (team, room) = (&event.team, big(event.created_at_ms));
    let (epoch, seq, at) = (big(event.epoch), big(event.seq), big(event.at_ms));
    match &event.kind {
        HistoryKind::TeamNamed { name } => {
            transaction
                .execute(&statements.upsert_team, &[team, name, &epoch, &seq])
                .await?;
        }
        HistoryKind::EstimateSaved { round, story, card } => {
            let (round, story_id) = (big(*round), i64::from(story.id));
            transaction
                .execute(
                    &statements.upsert_estimate,
                    &[team, &room, &round, &story_id, &story.title, card, &epoch, &seq],
                )
                .await?;
        }
        HistoryKind::RoundRevealed {
            round,
            story,
            votes,
            stats,
        } => {
            let round = big(*round);
            let story_id = story.as_ref().map(|story| i64::from(story.id));
            let title = story.as_ref().map(|story| &story.title);
            let (median, mean, agreement) = (&stats.median, &stats.mean, i16::from(stats.agreement));
            let people: Vec<&str> = votes.iter().map(|vote| vote.participant.as_str()).collect();
            let names: Vec<&str> = votes.iter().map(|vote| vote.name.as_str()).collect();
            let cards: Vec<&str> = votes.iter().map(|vote| vote.card.as_str()).collect();
            let upsert: [&(dyn ToSql + Sync); 11] = [
                team, &room, &round, &story_id, &title, &at, median, mean, &agreement, &epoch, &seq,
            ];
            let delete: [&(dyn ToSql + Sync); 5] = [team, &room, &round, &epoch, &seq];
            let insert: [&(dyn ToSql + Sync); 8] =
                [team, &room, &round, &epoch, &seq, &people, &names, &cards];
            // Polled, sent and run in this order (tokio's own macro polls in random order).
            futures::try_join!(
                transaction.execute(&statements.upsert_round, &upsert),
                transaction.execute(&statements.delete_votes, &delete),
                transaction.execute(&statements.insert_votes, &insert),
            )?;
        }
        // The version that knows the kind projects the stored events when it migrates the tables.
        HistoryKind::Unknown(_) => {}
    }
    Ok(())
}

fn read_round(row: &Row) -> HistoryRound {
    let story_id: Option<i64> = row.get(1);
    let title: Option<String> = row.get(2);
    let people: Option<Vec<String>> = row.get(8);
    let names: Option<Vec<String>> = row.get(9);
    let cards: Option<Vec<String>> = row.get(10);
    let votes = people.into_iter().flatten();
    let votes = votes
        .zip(names.into_iter().flatten())
        .zip(cards.into_iter().flatten());
    HistoryRound {
        round: row.get::<_, i64>(0).unsigned_abs(),
        story: story_id.zip(title).map(|(id, title)| HistoryStory {
            id: u32::try_from(id).unwrap_or_default(),
            title,
        }),
        revealed_at: time_text(row.get::<_, i64>(3).unsigned_abs()),
        votes: votes
            .map(|((participant, name), card)| HistoryVote {
                participant,
                name,
                card,
            })
            .collect(),
        stats: HistoryStats {
            median: row.get(4),
            mean: row.get(5),
            agreement: u8::try_from(row.get::<_, Option<i16>>(6).unwrap_or_default()).unwrap_or_default(),
        },
        estimate: row.get(7),
    }
}

/// PostgreSQL has no unsigned integers; these numbers never reach the limit of the signed ones.
fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

async fn bounded<T>(call: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, HistoryError> {
    match tokio::time::timeout(2 * DATABASE_TIMEOUT, call).await {
        Ok(result) => result.map_err(unavailable),
        Err(_) => Err(HistoryError::Unavailable("timed out".into())),
    }
}

/// The server's words where there are some, else what went wrong on the way; never a value of ours.
fn unavailable(error: tokio_postgres::Error) -> HistoryError {
    let words = match error.as_db_error() {
        Some(error) => format!("{} {}", error.code().code(), error.message()),
        None => error.to_string(),
    };
    HistoryError::Unavailable(words)
}
