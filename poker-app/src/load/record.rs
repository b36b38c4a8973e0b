//! Records the acknowledged votes as JSON Lines, to compare them with the history.

use std::{
    fs::File,
    io::{BufWriter, Write, stdout},
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use serde::Serialize;

#[derive(Serialize)]
pub struct RecordedVote<'a> {
    pub team: &'a str,
    pub round: u64,
    pub participant: &'a str,
    pub card: &'a str,
}

pub struct Record(Mutex<BufWriter<Box<dyn Write + Send>>>);

impl Record {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let to: Box<dyn Write + Send> =
            if path == Path::new("-") {
                Box::new(stdout())
            } else {
                let file = File::create(path);
                Box::new(file.with_context(|| {
                    format!("cannot write {}; choose another --record file", path.display())
                })?)
            };
        Ok(Self(Mutex::new(BufWriter::new(to))))
    }

    /// A failure is reported by [`Record::finish`] at the latest.
    pub fn write(&self, vote: &RecordedVote<'_>) -> std::io::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::to_writer(&mut *file, vote)?;
        file.write_all(b"\n")
    }

    pub fn finish(&self) -> anyhow::Result<()> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.flush()
            .context("cannot write the --record file to its end; free disk space and run again")
    }
}
