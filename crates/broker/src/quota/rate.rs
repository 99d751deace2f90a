//! How fast something went lately: sums in windows, as Kafka's Rate has them. Pure: time comes in.

use std::collections::VecDeque;

/// The windows in force.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// How many are remembered, at least 1.
    pub(crate) num: i64,
    /// Milliseconds, at least 1.
    pub(crate) size_ms: i64,
}

/// Sums of the last windows: at most as many as are remembered, and one more.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// Start and sum, the oldest first.
    samples: VecDeque<(i64, f64)>,
}

impl Rate {
    /// Adds an amount at a time (milliseconds); says for how long it is to be waited, in milliseconds, until the rate is
    /// within `bound` a second again.
    pub(crate) fn record(&mut self, amount: f64, bound: f64, windows: Windows, now: i64) -> i64 {
        self.forget(windows, now);
        match self.samples.back_mut() {
            Some((start, sum)) if now - *start < windows.size_ms => *sum += amount,
            _ => self.samples.push_back((now, amount)),
        }
        let total: f64 = self.samples.iter().map(|(_, sum)| sum).sum();
        let elapsed = self.elapsed_ms(windows, now) as f64;
        let rate = total * 1000.0 / elapsed;
        if rate <= bound {
            return 0;
        }
        ((rate - bound) / bound * elapsed).round() as i64
    }

    /// Takes back what was recorded last.
    pub(crate) fn take_back(&mut self, amount: f64) {
        if let Some((_, sum)) = self.samples.back_mut() {
            *sum -= amount;
        }
    }

    /// Whether nothing of it is remembered any more.
    pub(crate) fn is_idle(&mut self, windows: Windows, now: i64) -> bool {
        self.forget(windows, now);
        self.samples.is_empty()
    }

    fn forget(&mut self, windows: Windows, now: i64) {
        let too_old = |start: i64| now - start >= windows.num.saturating_mul(windows.size_ms);
        while self
            .samples
            .front()
            .is_some_and(|(start, _)| too_old(*start))
        {
            self.samples.pop_front();
        }
    }

    /// The time that the sums cover; never less than all whole windows, so that a burst at the beginning is let through.
    fn elapsed_ms(&self, windows: Windows, now: i64) -> i64 {
        let elapsed = self
            .samples
            .front()
            .map_or(0, |(start, _)| (now - start).max(0));
        let missing = (windows.num - 1 - elapsed / windows.size_ms).max(0);
        (elapsed + missing.saturating_mul(windows.size_ms)).max(windows.size_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        num: 11,
        size_ms: 1000,
    };

    #[test]
    fn a_burst_of_ten_windows_passes_and_what_is_beyond_waits_its_share() {
        let mut rate = Rate::default();
        assert_eq!(rate.record(1000.0, 100.0, WINDOWS, 0), 0);
        assert_eq!(rate.record(500.0, 100.0, WINDOWS, 0), 5000);
    }

    #[test]
    fn what_is_older_than_the_windows_is_forgotten() {
        let mut rate = Rate::default();
        assert!(rate.record(9000.0, 100.0, WINDOWS, 0) > 0);
        assert!(!rate.is_idle(WINDOWS, 10_999));
        assert!(rate.is_idle(WINDOWS, 11_000));
        assert_eq!(rate.record(900.0, 100.0, WINDOWS, 11_000), 0);
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let mut rate = Rate::default();
        assert!(rate.record(2000.0, 100.0, WINDOWS, 0) > 0);
        rate.take_back(2000.0);
        assert_eq!(rate.record(1000.0, 100.0, WINDOWS, 0), 0);
    }
}
