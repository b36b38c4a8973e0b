//! Signs that need no statistics: they roll back at once, whatever the metrics say.

use serde::{Deserialize, Serialize};

/// What the operator sees of the new version without metrics. The default is that all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Guards {
    /// A pod of the new version restarts again and again.
    pub crash_loop: bool,
    /// The new version did not become ready, or is no longer, for longer than its deadline.
    pub unready: bool,
    /// Teams seen on two versions at a time.
    pub split_teams: u32,
}

/// The guard that tripped. The names are part of the API: they appear in status and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guard {
    CrashLoop,
    Unready,
    SplitTeams,
}

impl Guards {
    /// The first guard that tripped.
    pub fn tripped(&self) -> Option<Guard> {
        if self.split_teams > 0 {
            Some(Guard::SplitTeams)
        } else if self.crash_loop {
            Some(Guard::CrashLoop)
        } else if self.unready {
            Some(Guard::Unready)
        } else {
            None
        }
    }
}

/// Each guard alone, tripped.
#[cfg(test)]
pub(crate) fn each_tripped() -> [(Guards, Guard); 3] {
    let well = Guards::default;
    [
        (
            Guards {
                crash_loop: true,
                ..well()
            },
            Guard::CrashLoop,
        ),
        (
            Guards {
                unready: true,
                ..well()
            },
            Guard::Unready,
        ),
        (
            Guards {
                split_teams: 1,
                ..well()
            },
            Guard::SplitTeams,
        ),
    ]
}
