//! Guards: conditions that need no statistics and roll back at once, regardless of the metrics.

use serde::{Deserialize, Serialize};

/// What the operator observes of the new version without metrics. The default is a healthy version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Guards {
    /// A pod of the new version is in a crash loop.
    pub crash_loop: bool,
    /// The new version has not been ready for longer than its deadline.
    pub unready: bool,
    /// The number of teams on two versions at the same time.
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

/// Each guard, tripped on its own.
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
