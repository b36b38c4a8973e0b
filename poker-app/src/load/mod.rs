//! Generates load on gateways with teams of real WebSockets, and detects lost and duplicated votes.
//!
//! Votes are sent on a fixed schedule (open loop) and timed from when they were due, so that a stalled server cannot hide
//! behind a stalled generator.

mod args;
mod driver;
mod frame;
pub mod limits;
mod member;
mod progress;
mod record;
mod report;
mod rounds;
mod schedule;
mod shared;
mod stats;
mod team;
#[cfg(test)]
mod tests;

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
pub use args::LoadArgs;
use futures::future::select_ok;
use poker_core::TeamSlug;
use rand::Rng;
use tokio::{
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    driver::Driver,
    limits::{CLOSE_TIMEOUT, DRAIN_TIMEOUT, HANDSHAKES_MAX, REACH_TIMEOUT, READY_TIMEOUT, REQUESTS_MAX},
    member::{Member, Memory},
    progress::Progress,
    record::Record,
    report::{Report, Setting},
    schedule::Schedule,
    shared::Shared,
    stats::Stats,
    team::Team,
};

/// Runs until its time is over or `stop`. Exit code 1: a vote was lost or duplicated, or none was acknowledged; 2: the
/// arguments are invalid, or no gateway is reachable.
pub async fn run(args: LoadArgs, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let shared = match prepare(&args).await {
        Ok(shared) => Arc::new(shared),
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    let report = measure(&args, shared, &stop).await?;
    if args.json {
        println!(
            "{}",
            serde_json::to_string(&report).context("cannot print the report")?
        );
    } else {
        print!("{}", report.table());
    }
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measure(args: &LoadArgs, shared: Arc<Shared>, stop: &CancellationToken) -> anyhow::Result<Report> {
    let prefix = args
        .team_prefix
        .clone()
        .unwrap_or_else(|| format!("load-{}", random_hex(8)));
    let mut sockets = JoinSet::new();
    let mut drivers = JoinSet::new();
    for team in 0..args.teams {
        start_team(team, &prefix, args, &shared, &mut sockets, &mut drivers)?;
    }
    let seconds = vote(args, &shared, &mut drivers, stop).await;
    if args.keep_open && !stop.is_cancelled() {
        eprintln!(
            "holding {} sockets open; interrupt to end",
            shared.stats.counts().sockets_joined
        );
        stop.cancelled().await;
    }
    shared.closing.cancel();
    let _ = timeout(CLOSE_TIMEOUT, async {
        while sockets.join_next().await.is_some() {}
    })
    .await;
    if let Some(file) = &shared.file {
        file.finish()?;
    }
    let setting = Setting {
        team_prefix: prefix,
        teams: args.teams,
        participants: args.participants,
        seconds,
        rate_wanted: args.rate,
    };
    Ok(Report::new(setting, &shared.stats.totals()))
}

async fn prepare(args: &LoadArgs) -> anyhow::Result<Shared> {
    let gateways = args.check()?;
    let deadline = Instant::now() + REACH_TIMEOUT;
    for gateway in &gateways {
        gateway.check_address(args.allow_remote, deadline).await?;
    }
    // One is enough: members try one after the other and retry unreachable ones.
    select_ok(gateways.iter().map(|gateway| Box::pin(gateway.reach(deadline)))).await?;
    Ok(Shared {
        gateways,
        stats: Stats::new()?,
        handshakes: Semaphore::new(HANDSHAKES_MAX),
        start: watch::Sender::new(None),
        ending: CancellationToken::new(),
        closing: CancellationToken::new(),
        file: args.record.as_deref().map(Record::create).transpose()?,
    })
}

fn start_team(
    number: u32,
    prefix: &str,
    args: &LoadArgs,
    shared: &Arc<Shared>,
    sockets: &mut JoinSet<()>,
    drivers: &mut JoinSet<()>,
) -> anyhow::Result<()> {
    let slug = TeamSlug::parse(&format!("{prefix}-{number}"))?;
    let keys = (0..args.participants).map(|_| random_hex(32)).collect();
    let team = Arc::new(Team::new(slug, keys)?);
    let ramp = Duration::from_secs(args.ramp_seconds);
    let mut members = Vec::with_capacity(args.participants as usize);
    for index in 0..args.participants as usize {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        members.push(requests);
        let before = number as usize * args.participants as usize + index;
        let delay = ramp.mul_f64(before as f64 / f64::from(args.teams * args.participants));
        let (shared, team) = (shared.clone(), team.clone());
        let member = Member {
            shared,
            team,
            index,
            delay,
            requests: receiver,
            memory: Memory::default(),
        };
        sockets.spawn(member.run());
    }
    let schedule = (args.rate > 0.0).then(|| Schedule::new(number, args.teams, args.participants, args.rate));
    let driver = Driver {
        shared: shared.clone(),
        team,
        schedule,
        seconds: Duration::from_secs(args.seconds),
        ready_timeout: ramp + READY_TIMEOUT,
        members,
    };
    drivers.spawn(driver.run());
    Ok(())
}

/// Waits for the teams and lets them vote. Returns the seconds of voting.
async fn vote(args: &LoadArgs, shared: &Shared, drivers: &mut JoinSet<()>, stop: &CancellationToken) -> f64 {
    let mut progress = Progress::new(args);
    let deadline = Instant::now() + Duration::from_secs(args.ramp_seconds) + READY_TIMEOUT;
    let is_ready = |shared: &Shared| shared.stats.counts().teams_ready >= u64::from(args.teams);
    while !stop.is_cancelled() && Instant::now() < deadline && !is_ready(shared) {
        progress.connecting(shared);
        progress.tick(stop).await;
    }
    let start = Instant::now();
    let end = start + Duration::from_secs(args.seconds);
    shared.start.send_replace(Some(start));
    while !stop.is_cancelled() && Instant::now() < end {
        progress.voting(shared, start.elapsed());
        tokio::select! {
            () = sleep_until(end) => {}
            () = progress.tick(stop) => {}
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    shared.ending.cancel();
    progress.finish();
    if timeout(DRAIN_TIMEOUT * 2, async {
        while drivers.join_next().await.is_some() {}
    })
    .await
    .is_err()
    {
        shared.stats.error("drain_timeout");
        drivers.abort_all();
    }
    seconds
}

fn random_hex(digits: usize) -> String {
    let mut random = rand::rng();
    (0..digits)
        .map(|_| char::from(b"0123456789abcdef"[random.random_range(0..16)]))
        .collect()
}
