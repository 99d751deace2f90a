//! Tokens that come back with time: what bounds creations and deletions (KIP-599). Pure: time comes in.

use super::rate::Windows;

/// Tokens of one client. A request may take more than there are, and then the next one waits until none are owed.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// None until the first look: full. Negative: owed.
    tokens: Option<f64>,
    /// When they were counted last, ms.
    counted_ms: i64,
}

impl Bucket {
    /// For how many milliseconds nothing is to be taken, because tokens are owed.
    pub(crate) fn owed_ms(&mut self, bound: f64, windows: Windows, now: i64) -> i64 {
        let tokens = self.refill(bound, windows, now);
        match tokens < 0.0 {
            true => (-tokens / bound * 1000.0).round() as i64,
            false => 0,
        }
    }

    /// Takes tokens, whether they are there or not.
    pub(crate) fn take(&mut self, tokens: f64, bound: f64, windows: Windows, now: i64) {
        let left = self.refill(bound, windows, now) - tokens;
        self.tokens = Some(left);
    }

    /// Whether it is full: as good as new.
    pub(crate) fn is_full(&mut self, bound: f64, windows: Windows, now: i64) -> bool {
        self.refill(bound, windows, now) >= burst(bound, windows)
    }

    fn refill(&mut self, bound: f64, windows: Windows, now: i64) -> f64 {
        let most = burst(bound, windows);
        let came = (now - self.counted_ms).max(0) as f64 / 1000.0 * bound;
        let tokens = self.tokens.map_or(most, |tokens| most.min(tokens + came));
        (self.tokens, self.counted_ms) = (Some(tokens), now);
        tokens
    }
}

/// The most tokens that gather: all windows' worth.
fn burst(bound: f64, windows: Windows) -> f64 {
    windows.num as f64 * windows.size_ms as f64 / 1000.0 * bound
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows {
        num: 10,
        size_ms: 1000,
    };

    #[test]
    fn a_burst_passes_and_what_is_owed_is_waited_for() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.owed_ms(2.0, WINDOWS, 5), 0);
        bucket.take(20.0, 2.0, WINDOWS, 5);
        assert_eq!(bucket.owed_ms(2.0, WINDOWS, 5), 0, "none left, none owed");
        bucket.take(6.0, 2.0, WINDOWS, 5);
        assert_eq!(bucket.owed_ms(2.0, WINDOWS, 5), 3000);
        assert_eq!(bucket.owed_ms(2.0, WINDOWS, 1005), 2000);
        assert_eq!(bucket.owed_ms(2.0, WINDOWS, 3005), 0);
    }

    #[test]
    fn no_more_than_a_burst_gathers() {
        let mut bucket = Bucket::default();
        bucket.take(1.0, 2.0, WINDOWS, 0);
        assert!(!bucket.is_full(2.0, WINDOWS, 499));
        assert!(bucket.is_full(2.0, WINDOWS, 500));
        bucket.take(21.0, 2.0, WINDOWS, 1_000_000);
        assert_eq!(bucket.owed_ms(2.0, WINDOWS, 1_000_000), 500);
    }
}
