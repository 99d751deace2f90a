//! How fast a bookmark moves on, and whether it gains on the writers: made of looks at it, whoever takes them.
//!
//! A rate is the plain mean of the first minute, then decays with that time constant: commits come in bursts, and a look
//! that falls between two of them should not say that nobody reads.

/// The rates' time constant.
const DECAY_S: f64 = 60.0;
/// A look so soon after another tells nothing new.
const CLOSE_MS: u64 = 500;
/// After so long without a look the past says nothing of now.
const STALE_MS: u64 = 10 * 60 * 1000;
/// The least share of what is read by which a group must gain, to be said to catch up: less is the rhythm of its commits.
const GAIN: f64 = 0.1;

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// By a clock that only goes forward, ms.
    pub(crate) at_ms: u64,
    pub(crate) committed: i64,
    /// The log's end.
    pub(crate) end: i64,
    /// Records before the reader.
    pub(crate) behind: i64,
}

/// A second's worth.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Rates {
    /// Offsets that the bookmark moves on by.
    pub(crate) read: f64,
    /// Offsets that the log grows by.
    pub(crate) written: f64,
    /// Records that the group is less behind; negative where the writers gain.
    gained: f64,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    last: Look,
    /// How long the rates were gathered, s; 0: there are none yet.
    over_s: f64,
    rates: Rates,
}

impl Pace {
    pub(crate) fn new(first: Look) -> Pace {
        Pace {
            last: first,
            over_s: 0.0,
            rates: Rates::default(),
        }
    }

    /// Takes a look into account.
    pub(crate) fn note(&mut self, look: Look) {
        let last = self.last;
        let passed_ms = look.at_ms.saturating_sub(last.at_ms);
        if passed_ms >= STALE_MS {
            *self = Pace::new(look);
            return;
        }
        if look.committed < last.committed || look.end < last.end {
            // A reset is no reading.
            self.last = look;
            return;
        }
        if passed_ms < CLOSE_MS {
            return;
        }
        let passed_s = passed_ms as f64 / 1000.0;
        self.over_s += passed_s;
        let weight = (passed_s / self.over_s).max(1.0 - (-passed_s / DECAY_S).exp());
        let blend = |rate: f64, by: i64| rate + (by as f64 / passed_s - rate) * weight;
        self.rates = Rates {
            read: blend(self.rates.read, look.committed - last.committed),
            written: blend(self.rates.written, look.end - last.end),
            gained: blend(self.rates.gained, last.behind - look.behind),
        };
        self.last = look;
    }

    /// `None` before there were two looks.
    pub(crate) fn rates(&self) -> Option<Rates> {
        (self.over_s > 0.0).then_some(self.rates)
    }

    /// How long until the group has read all, ms; `None` unless it gains on the writers.
    pub(crate) fn to_zero_ms(self) -> Option<i64> {
        let Rates { read, gained, .. } = self.rates()?;
        let gains = gained > 0.0 && gained >= read * GAIN;
        (gains && self.last.behind > 0).then(|| (self.last.behind as f64 / gained * 1000.0) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_s: u64, committed: i64, end: i64) -> Look {
        Look {
            at_ms: at_s * 1000,
            committed,
            end,
            behind: end - committed,
        }
    }

    fn pace(looks: &[(u64, i64, i64)]) -> Pace {
        let mut looks = looks
            .iter()
            .map(|(at, committed, end)| look(*at, *committed, *end));
        let mut pace = Pace::new(looks.next().unwrap());
        looks.for_each(|look| pace.note(look));
        pace
    }

    #[test]
    fn one_look_tells_no_speed() {
        assert_eq!(pace(&[(0, 5, 10)]).rates(), None);
        assert_eq!(pace(&[(0, 5, 10), (0, 6, 10)]).rates(), None);
    }

    #[test]
    fn who_reads_faster_than_is_written_will_have_read_all() {
        let pace = pace(&[(0, 0, 1000), (10, 300, 1100)]);
        let rates = pace.rates().unwrap();
        assert_eq!((rates.read, rates.written), (30.0, 10.0));
        // 800 behind, 20 fewer each second.
        assert_eq!(pace.to_zero_ms(), Some(40_000));
    }

    #[test]
    fn who_does_not_gain_on_the_writers_will_never_have_read_all() {
        assert_eq!(pace(&[(0, 0, 1000), (10, 100, 1100)]).to_zero_ms(), None);
        assert_eq!(pace(&[(0, 0, 1000), (10, 100, 1200)]).to_zero_ms(), None);
        let rhythm = pace(&[(0, 0, 1000), (10, 100, 1095)]);
        assert_eq!(rhythm.to_zero_ms(), None, "5 of 100 are no gain");
    }

    #[test]
    fn commits_in_bursts_make_an_even_speed() {
        // 50 records each 5 s, looked at each second.
        let looks: Vec<_> = (0..600)
            .map(|s| (s, (s / 5 * 50) as i64, 100_000))
            .collect();
        for at in 60..600 {
            let read = pace(&looks[..at]).rates().unwrap().read;
            assert!((9.0..11.0).contains(&read), "{read} at {at}");
        }
    }

    #[test]
    fn a_reader_that_stops_is_soon_said_to_stand() {
        let mut looks: Vec<_> = (0..120).map(|s| (s, (s * 100) as i64, 100_000)).collect();
        looks.extend((120..420).map(|s| (s, 12_000, 100_000)));
        assert!(pace(&looks).rates().unwrap().read < 1.0);
    }

    #[test]
    fn a_reset_is_no_reading_and_what_is_long_past_does_not_count() {
        let reset = pace(&[(0, 1000, 1000), (10, 1100, 1100), (20, 0, 1100)]);
        assert_eq!(reset.rates().unwrap().read, 10.0);
        assert_eq!(
            pace(&[(0, 0, 10), (10, 10, 10), (610, 10, 10)]).rates(),
            None
        );
    }
}
