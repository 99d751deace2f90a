//! When retention will take the record at a bookmark: a group that is too slow loses it.

/// What a log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep {
    /// `retention.ms`; negative: for ever.
    pub(crate) ms: i64,
    /// `retention.bytes` of the partition; negative: any number.
    pub(crate) bytes: i64,
}

/// What is before the reader.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Before {
    pub(crate) records: i64,
    pub(crate) bytes: i64,
    /// How old the first of them is.
    pub(crate) age_ms: i64,
    /// How many are written a second, if that is known.
    pub(crate) written: Option<f64>,
}

impl Keep {
    /// How long the first record before the reader is kept at least, ms; `None`: as far as can be said, for ever. Segments
    /// go whole, so it may well be kept for longer. 0: it is overdue.
    pub(crate) fn reaches_in_ms(self, before: Before) -> Option<i64> {
        let by_age = (self.ms >= 0).then(|| (self.ms - before.age_ms).max(0));
        let by_size = before
            .written
            .filter(|written| self.bytes >= 0 && *written > 0.0 && before.records > 0)
            .map(|written| {
                let bytes_a_second = written * before.bytes as f64 / before.records as f64;
                let room = (self.bytes - before.bytes).max(0);
                (room as f64 / bytes_a_second.max(f64::MIN_POSITIVE) * 1000.0) as i64
            });
        [by_age, by_size].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn before(age_ms: i64, written: Option<f64>) -> Before {
        Before {
            records: 1000,
            bytes: 100_000,
            age_ms,
            written,
        }
    }

    #[test]
    fn a_record_is_kept_until_it_is_too_old() {
        let week = Keep {
            ms: 7 * DAY_MS,
            bytes: -1,
        };
        let reaches = |age_ms| week.reaches_in_ms(before(age_ms, Some(10.0)));
        assert_eq!(reaches(5 * DAY_MS), Some(2 * DAY_MS));
        assert_eq!(reaches(9 * DAY_MS), Some(0), "overdue");
        let forever = Keep { ms: -1, bytes: -1 };
        assert_eq!(forever.reaches_in_ms(before(9 * DAY_MS, None)), None);
    }

    #[test]
    fn or_until_what_was_written_after_it_fills_the_log() {
        let keep = Keep {
            ms: -1,
            bytes: 1_100_000,
        };
        // Room for a million bytes; 10 records of 100 bytes come a second.
        assert_eq!(keep.reaches_in_ms(before(0, Some(10.0))), Some(1_000_000));
        assert_eq!(
            keep.reaches_in_ms(before(0, Some(0.0))),
            None,
            "nobody writes"
        );
        assert_eq!(keep.reaches_in_ms(before(0, None)), None, "nobody knows");
    }

    #[test]
    fn the_sooner_of_both_counts() {
        let keep = Keep {
            ms: DAY_MS,
            bytes: 1_100_000,
        };
        assert_eq!(keep.reaches_in_ms(before(0, Some(10.0))), Some(1_000_000));
        assert_eq!(keep.reaches_in_ms(before(DAY_MS - 5, Some(10.0))), Some(5));
    }
}
