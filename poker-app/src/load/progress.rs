//! A progress bar on a terminal, and no output elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{args::LoadArgs, shared::Shared};

const INTERVAL: Duration = Duration::from_millis(200);

pub struct Progress {
    bar: ProgressBar,
    seconds: u64,
    sockets: u64,
}

impl Progress {
    /// Draws on standard error, if that is a terminal.
    pub fn new(args: &LoadArgs) -> Self {
        let sockets = u64::from(args.teams) * u64::from(args.participants);
        let bar = ProgressBar::new(sockets);
        // The template is constant and tested: the default bar is never used.
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self {
            bar,
            seconds: args.seconds,
            sockets,
        }
    }

    pub fn connecting(&self, shared: &Shared) {
        let joined = shared.stats.counts().sockets_joined;
        self.bar.set_position(joined);
        self.bar
            .set_message(format!("{joined} of {} sockets joined", self.sockets));
    }

    pub fn voting(&self, shared: &Shared, elapsed: Duration) {
        let counts = shared.stats.counts();
        self.bar.set_length(self.seconds * 1000);
        self.bar.set_position(elapsed.as_millis() as u64);
        let rate = counts.votes_acked as f64 / elapsed.as_secs_f64().max(0.001);
        let lost = counts.votes_lost + counts.votes_doubled;
        let message = format!(
            "{} votes, {rate:.0}/s, {lost} lost or doubled",
            counts.votes_acked
        );
        self.bar.set_message(message);
    }

    pub async fn tick(&mut self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

const TEMPLATE: &str = "{wide_bar} {elapsed} {msg}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
