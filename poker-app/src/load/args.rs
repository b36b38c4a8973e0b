//! The arguments of `poker-app load` and their validation before the first socket.

use std::{io, net::IpAddr, path::PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use poker_core::limits::PARTICIPANTS_MAX;
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, sleep, timeout_at},
};
use tokio_tungstenite::tungstenite::http::Uri;

use super::limits::{
    RAMP_SECONDS_MAX, RATE_MAX, REACH_RETRY_DELAY, SECONDS_MAX, SOCKETS_MAX, TEAM_PREFIX_CHARS_MAX,
};

#[derive(Args, Clone, Debug)]
pub struct LoadArgs {
    /// Gateway, ws://host:port; repeat it to spread the sockets over several.
    #[arg(long, env = "POKER_LOAD_URL", required = true, value_delimiter = ',')]
    pub url: Vec<String>,
    /// Number of teams.
    #[arg(long, default_value_t = 10)]
    pub teams: u32,
    /// Participants (sockets) of each team.
    #[arg(long, default_value_t = 10)]
    pub participants: u32,
    /// Votes per second over all teams, sent on a fixed schedule; with 0 the load only connects.
    #[arg(long, default_value_t = 100.0)]
    pub rate: f64,
    /// Seconds of voting.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Seconds over which the sockets are opened.
    #[arg(long, default_value_t = 1)]
    pub ramp_seconds: u64,
    /// Prefix of every team's slug; random by default.
    #[arg(long)]
    pub team_prefix: Option<String>,
    /// Write every acknowledged vote to this file (-: standard output, before the report), one {team, round, participant,
    /// card} per line.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// After the run, keep the sockets open until interrupted.
    #[arg(long)]
    pub keep_open: bool,
    /// Allow gateways outside this machine and the test network 198.18.0.0/15.
    #[arg(long)]
    pub allow_remote: bool,
}

/// A gateway's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// As given, without a trailing slash: the prefix of every request URL.
    pub base: String,
    pub authority: String,
}

impl LoadArgs {
    pub fn check(&self) -> anyhow::Result<Vec<Gateway>> {
        ensure!(self.teams > 0, "give at least one team with --teams");
        let participants_max = PARTICIPANTS_MAX as u32;
        ensure!(
            (1..=participants_max).contains(&self.participants),
            "give 1 to {participants_max} --participants a team"
        );
        let sockets = u64::from(self.teams) * u64::from(self.participants);
        ensure!(
            sockets <= u64::from(SOCKETS_MAX),
            "{sockets} sockets are too many for one process: at most {SOCKETS_MAX}, start several"
        );
        ensure!(
            self.rate.is_finite() && (0.0..=RATE_MAX).contains(&self.rate),
            "give a --rate of 0 to {RATE_MAX} votes a second"
        );
        ensure!(
            self.seconds <= SECONDS_MAX,
            "give at most {SECONDS_MAX} --seconds"
        );
        ensure!(
            self.ramp_seconds <= RAMP_SECONDS_MAX,
            "give at most {RAMP_SECONDS_MAX} --ramp-seconds"
        );
        if let Some(prefix) = &self.team_prefix {
            let plain = prefix
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            ensure!(
                plain && (1..=TEAM_PREFIX_CHARS_MAX).contains(&prefix.len()),
                "give a --team-prefix of 1 to {TEAM_PREFIX_CHARS_MAX} of a-z, 0-9 and -"
            );
        }
        ensure!(!self.url.is_empty(), "give a gateway with --url");
        self.url.iter().map(|url| Gateway::parse(url)).collect()
    }
}

impl Gateway {
    pub fn parse(url: &str) -> anyhow::Result<Self> {
        let wanted = || format!("--url {url} is not of the form ws://host:port");
        let uri: Uri = url.parse().with_context(wanted)?;
        if uri.scheme_str() == Some("wss") {
            bail!(
                "--url {url} needs TLS, which the load generator does not speak; use the gateway's ws:// address"
            );
        }
        ensure!(uri.scheme_str() == Some("ws") && uri.query().is_none(), wanted());
        let host = uri.host().filter(|host| !host.is_empty()).with_context(wanted)?;
        let base = String::from(url.trim_end_matches('/'));
        Ok(Self {
            base,
            authority: format!("{host}:{}", uri.port_u16().unwrap_or(80)),
        })
    }

    /// Resolves the name, retrying until `deadline`, as DNS publishes a new Service with a delay. Refuses addresses outside
    /// the test networks.
    pub async fn check_address(&self, allow_remote: bool, deadline: Instant) -> anyhow::Result<()> {
        let addresses = loop {
            match lookup_host(&self.authority).await {
                Err(_) if Instant::now() + REACH_RETRY_DELAY < deadline => sleep(REACH_RETRY_DELAY).await,
                found => break found,
            }
        };
        for address in addresses.with_context(|| format!("cannot resolve {}; check --url", self.authority))? {
            ensure!(
                allow_remote || is_bench(address.ip()),
                "{} is neither this machine nor in 198.18.0.0/15; add --allow-remote if it is yours to load",
                address.ip()
            );
        }
        Ok(())
    }

    /// Connects once, retrying until `deadline`, so that a wrong address is reported before the load starts.
    pub async fn reach(&self, deadline: Instant) -> anyhow::Result<()> {
        loop {
            let attempt = timeout_at(deadline, TcpStream::connect(&self.authority)).await;
            let failure = match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            ensure!(
                Instant::now() + REACH_RETRY_DELAY < deadline,
                "cannot connect to {}: {failure}; start a gateway there (`poker-app` alone is one), or name \
                 another with --url",
                self.authority
            );
            sleep(REACH_RETRY_DELAY).await;
        }
    }
}

/// Loopback, or the network that RFC 2544 reserves for benchmarks.
fn is_bench(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || matches!(ip.octets(), [198, 18..=19, ..]),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::limits::REACH_TIMEOUT, *};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: LoadArgs,
    }

    fn check(line: &str) -> anyhow::Result<Vec<Gateway>> {
        Line::try_parse_from(["load"].into_iter().chain(line.split_whitespace()))
            .unwrap()
            .args
            .check()
    }

    #[test]
    fn gateways_are_parsed() {
        let gateways = check("--url ws://127.0.0.1:8080/ --url ws://[::1]").unwrap();
        assert_eq!(
            gateways[0],
            Gateway {
                base: "ws://127.0.0.1:8080".into(),
                authority: "127.0.0.1:8080".into()
            }
        );
        assert_eq!(gateways[1].authority, "[::1]:80");
    }

    #[test]
    fn invalid_arguments_are_refused_with_a_remedy() {
        let cases = [
            ("--url http://a:1", "ws://host:port"),
            ("--url a:1", "ws://host:port"),
            ("--url wss://a:1", "TLS"),
            ("--url ws://a --teams 0", "--teams"),
            ("--url ws://a --participants 201", "--participants"),
            ("--url ws://a --participants 0", "--participants"),
            ("--url ws://a --teams 1901", "too many"),
            ("--url ws://a --rate NaN", "--rate"),
            ("--url ws://a --rate=-1", "--rate"),
            ("--url ws://a --team-prefix Blue", "--team-prefix"),
            ("--url ws://a --seconds 9999999", "--seconds"),
        ];
        for (line, expected) in cases {
            let message = check(line).unwrap_err().to_string();
            assert!(message.contains(expected), "{line}: {message}");
        }
    }

    #[tokio::test]
    async fn an_unreachable_gateway_is_reported_with_the_reason_and_a_remedy() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let gateway = Gateway::parse(&url).unwrap();
        gateway.reach(Instant::now() + REACH_TIMEOUT).await.unwrap();
        drop(listener);
        let message = gateway.reach(Instant::now()).await.unwrap_err().to_string();
        let parts = [&*gateway.authority, "--url"];
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        let retried = Instant::now() + 3 * REACH_RETRY_DELAY;
        let message = gateway.reach(retried).await.unwrap_err().to_string();
        assert!(message.contains("refused"), "{message}");
    }

    #[test]
    fn only_test_networks_are_allowed_by_default() {
        for (ip, allowed) in [
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("198.18.0.1", true),
            ("198.19.255.255", true),
            ("198.20.0.1", false),
            ("198.17.0.1", false),
            ("10.0.0.1", false),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_bench(ip.parse().unwrap()), allowed, "{ip}");
        }
    }
}
