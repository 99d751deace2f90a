//! How fast a compaction may read and write.

use std::thread;
use std::time::{Duration, Instant};

use crate::LogError;

/// A compaction may be so far ahead of its pace before it waits: a wait for each batch would cost more than it saves.
const AHEAD: Duration = Duration::from_millis(20);
/// The longest wait at once, so that a stop is not held up.
const NAP: Duration = Duration::from_millis(50);
/// What was not used within so long is not made up for later.
const MEMORY: Duration = Duration::from_secs(1);

/// Holds one compaction to a number of bytes a second (`log.cleaner.io.max.bytes.per.second`).
pub(crate) struct Pace {
    bytes_per_second: f64,
    since: Instant,
    bytes: u64,
}

impl Pace {
    /// Less than a byte a second counts as one; infinity is no bound.
    pub(crate) fn new(bytes_per_second: f64) -> Pace {
        Pace {
            bytes_per_second: bytes_per_second.max(1.0),
            since: Instant::now(),
            bytes: 0,
        }
    }

    /// Waits until these bytes, read or written, fit the pace.
    ///
    /// # Errors
    /// [`LogError::Closed`] as soon as `is_closed` says so.
    pub(crate) fn spend(
        &mut self,
        bytes: usize,
        is_closed: impl Fn() -> bool,
    ) -> Result<(), LogError> {
        self.bytes += bytes as u64;
        loop {
            if is_closed() {
                return Err(LogError::Closed);
            }
            let elapsed = self.since.elapsed();
            let ahead = time_of(self.bytes, self.bytes_per_second).saturating_sub(elapsed);
            if ahead > AHEAD {
                thread::sleep(ahead.min(NAP));
                continue;
            }
            if ahead.is_zero() && elapsed > MEMORY {
                (self.since, self.bytes) = (Instant::now(), 0);
            }
            return Ok(());
        }
    }
}

/// How long so many bytes take at least.
fn time_of(bytes: u64, bytes_per_second: f64) -> Duration {
    Duration::try_from_secs_f64(bytes as f64 / bytes_per_second).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_their_time() {
        assert_eq!(time_of(3_000, 1_000.0), Duration::from_secs(3));
        assert_eq!(time_of(u64::MAX, f64::MAX), Duration::ZERO);
        assert_eq!(time_of(u64::MAX, f64::MIN_POSITIVE), Duration::MAX);
    }

    #[test]
    fn whoever_is_ahead_waits_and_whoever_is_not_does_not() {
        let begun = Instant::now();
        let mut pace = Pace::new(1e6);
        for _ in 0..10 {
            pace.spend(20_000, || false).unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(200) - AHEAD);
        let mut unbounded = Pace::new(f64::MAX);
        let begun = Instant::now();
        unbounded.spend(usize::MAX, || false).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_stop_is_not_held_up() {
        let mut pace = Pace::new(1.0);
        let outcome = pace.spend(1_000_000, || true);
        assert!(matches!(outcome, Err(LogError::Closed)), "{outcome:?}");
    }
}
