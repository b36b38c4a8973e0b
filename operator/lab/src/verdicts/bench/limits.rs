//! Sizes of the simulated rollouts.

/// The duration of a rollout.
pub const RUN_SECONDS: i64 = 1_800;
/// The time between two looks.
pub const LOOK_SECONDS: i64 = 15;
/// The rules of other tools evaluate the last minute once a minute.
pub const PEER_SECONDS: i64 = 60;
/// Requests of one team.
pub const TEAM_REQUESTS_PER_SECOND: f64 = 0.1;
/// Errors of all requests.
pub const ERROR_SHARE: f64 = 0.001;
pub const BURST_ERRORS_MEAN: f64 = 20.0;
/// The start and the duration of an outage of both versions, and its share of failed requests.
pub const OUTAGE_BEGIN_SECONDS: i64 = 600;
pub const OUTAGE_SECONDS: i64 = 120;
pub const OUTAGE_ERROR_SHARE: f64 = 0.3;
pub const SWING_PERIOD_SECONDS: f64 = 600.0;
pub const SWING_AMPLITUDE: f64 = 0.8;
/// One team in so many is flaky; flaky teams have half of all errors.
pub const FLAKY_TEAMS_ONE_IN: usize = 100;
pub const COLD_SECONDS: i64 = 60;
pub const COLD_RATIO: f64 = 10.0;

const _: () = assert!(RUN_SECONDS % LOOK_SECONDS == 0 && PEER_SECONDS % LOOK_SECONDS == 0);
const _: () = assert!(COLD_SECONDS % LOOK_SECONDS == 0 && OUTAGE_BEGIN_SECONDS % LOOK_SECONDS == 0);
