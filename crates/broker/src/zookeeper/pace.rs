//! How long the mirror rests between two turns. Pure.
//!
//! Commits come first: the mirror and ZooKeeper take time from them, and a bookmark that moves again while the mirror rests is
//! written once. So while commits come it works for a quarter of the time at most; what was left behind while ZooKeeper was
//! away is written without a pause when nobody commits.

use std::time::Duration;

/// How long moves are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// The rest, in times of the work before it.
const REST: u32 = 3;
/// However long the work took.
const MOST: Duration = Duration::from_secs(1);

/// What a turn met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// There is more to do.
    pub(super) more: bool,
    /// Commits came, and all of them have been read.
    pub(super) is_live: bool,
}

impl Turn {
    /// The pause after a turn that took so long, if nobody waits for the mirror.
    pub(super) fn pause(self, took: Duration) -> Duration {
        let least = if self.more { Duration::ZERO } else { GATHER };
        let rest = (took * REST).min(MOST);
        if self.is_live { least.max(rest) } else { least }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_leaves_three_quarters_of_the_time_to_commits_that_come() {
        let took = Duration::from_millis(200);
        let pause = |more, is_live| Turn { more, is_live }.pause(took);
        assert_eq!(pause(true, true), took * 3);
        assert_eq!(pause(false, true), took * 3);
        assert_eq!(
            pause(true, false),
            Duration::ZERO,
            "nobody commits: catch up"
        );
        assert_eq!(pause(false, false), GATHER);
        let slow = Duration::from_secs(60);
        let turn = Turn {
            more: true,
            is_live: true,
        };
        assert_eq!(
            turn.pause(slow),
            MOST,
            "a slow ZooKeeper is not left alone for minutes"
        );
        let turn = Turn {
            more: false,
            is_live: true,
        };
        assert_eq!(turn.pause(Duration::ZERO), GATHER, "moves are gathered");
    }
}
