//! The tables of the history, created and migrated by the first process that starts.

use tokio_postgres::{Client, Error};

/// Key of the advisory lock that keeps two processes from migrating at once.
const LOCK: i64 = 0x706f_6b65_7201;

/// In order. A released migration is never changed.
const MIGRATIONS: &[&str] = &["
CREATE TABLE IF NOT EXISTS events (
  team text NOT NULL,
  epoch bigint NOT NULL,
  seq bigint NOT NULL,
  kind text NOT NULL,
  at timestamptz NOT NULL,
  body jsonb NOT NULL,
  PRIMARY KEY (team, epoch, seq)
);
CREATE TABLE IF NOT EXISTS teams (
  team text PRIMARY KEY,
  name text NOT NULL,
  epoch bigint NOT NULL,
  seq bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS rounds (
  team text NOT NULL,
  round bigint NOT NULL,
  story_id bigint,
  story_title text,
  revealed_at timestamptz,
  median text,
  mean double precision,
  agreement smallint,
  epoch bigint NOT NULL DEFAULT 0,
  seq bigint NOT NULL DEFAULT 0,
  estimate text,
  estimate_epoch bigint NOT NULL DEFAULT 0,
  estimate_seq bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (team, round)
);
CREATE INDEX IF NOT EXISTS rounds_newest ON rounds (team, revealed_at DESC);
CREATE TABLE IF NOT EXISTS votes (
  team text NOT NULL,
  round bigint NOT NULL,
  participant text NOT NULL,
  name text NOT NULL,
  card text NOT NULL,
  position integer NOT NULL,
  PRIMARY KEY (team, round, participant)
);
", "
-- A room recreated under the same name counts its rounds from 1 again: `room` is its creation time in ms since 1970.
ALTER TABLE rounds ADD COLUMN room bigint NOT NULL DEFAULT 0;
ALTER TABLE rounds DROP CONSTRAINT rounds_pkey, ADD PRIMARY KEY (team, room, round);
ALTER TABLE votes ADD COLUMN room bigint NOT NULL DEFAULT 0;
ALTER TABLE votes DROP CONSTRAINT votes_pkey, ADD PRIMARY KEY (team, room, round, participant);
"];

/// Brings the tables up to date, in one transaction.
pub async fn migrate(client: &mut Client) -> Result<(), Error> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    transaction
        .batch_execute("CREATE TABLE IF NOT EXISTS poker_schema (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())")
        .await?;
    let row = transaction
        .query_one("SELECT coalesce(max(version), 0) FROM poker_schema", &[])
        .await?;
    let done: i32 = row.get(0);
    for (version, migration) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > done) {
        transaction.batch_execute(migration).await?;
        transaction
            .execute("INSERT INTO poker_schema (version) VALUES ($1)", &[&version])
            .await?;
    }
    transaction.commit().await
}
