//! Whether a move stays, judged by its age, by what replaced it, and by whether somebody meant it.

/// How long the moves of bookmarks are kept, in milliseconds of the moves' own timestamps, and how much of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// `offsets.history.all.ms`: every move is kept for so long.
    pub all_ms: i64,
    /// `offsets.history.minutely.ms`: for so long the last move of each minute is kept.
    pub minutely_ms: i64,
    /// `offsets.history.hourly.ms`: for so long the last move of each hour is kept.
    pub hourly_ms: i64,
    /// `offsets.history.max.bytes`: the most bytes of moves that were replaced, in one log. The oldest go first.
    pub max_bytes: u64,
}

impl Default for History {
    fn default() -> History {
        History {
            all_ms: HOUR_MS,
            minutely_ms: 24 * HOUR_MS,
            hourly_ms: 30 * 24 * HOUR_MS,
            max_bytes: 256 * 1024 * 1024,
        }
    }
}

impl History {
    /// How far back history reaches: administrative moves, and what they replaced, are kept for so long.
    pub fn reach_ms(&self) -> i64 {
        self.all_ms.max(self.minutely_ms).max(self.hourly_ms)
    }
}

const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// A move of one bookmark as thinning sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) timestamp_ms: i64,
    /// Somebody meant it: it is more than reading on.
    pub(super) is_administrative: bool,
}

/// Whether a move stays that was replaced by `next`. What was not replaced always stays.
pub(super) fn stays(history: &History, moved: Move, next: Move, now_ms: i64) -> bool {
    let is_within = |moved: Move, ms: i64| now_ms.saturating_sub(moved.timestamp_ms) < ms;
    let reach_ms = history.reach_ms();
    let is_meant = moved.is_administrative && is_within(moved, reach_ms);
    // What was there before somebody's change is kept as long as the change.
    let was_taken_away = next.is_administrative && is_within(next, reach_ms);
    if is_within(moved, history.all_ms) || is_meant || was_taken_away {
        return true;
    }
    let slot_ms = if is_within(moved, history.minutely_ms) {
        MINUTE_MS
    } else if is_within(moved, history.hourly_ms) {
        HOUR_MS
    } else {
        return false;
    };
    // The last of its minute or hour: it tells where the bookmark was when that ended.
    moved.timestamp_ms.div_euclid(slot_ms) != next.timestamp_ms.div_euclid(slot_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000 * HOUR_MS;

    fn at(age_ms: i64) -> Move {
        Move {
            timestamp_ms: NOW - age_ms,
            is_administrative: false,
        }
    }

    fn meant(age_ms: i64) -> Move {
        Move {
            is_administrative: true,
            ..at(age_ms)
        }
    }

    fn stays_by_default(moved: Move, next: Move) -> bool {
        stays(&History::default(), moved, next, NOW)
    }

    #[test]
    fn every_move_of_the_last_hour_stays() {
        assert!(stays_by_default(at(HOUR_MS - 1), at(HOUR_MS - 2)));
        assert!(stays_by_default(at(0), at(0)));
        // A clock that was ahead does not make a move old.
        assert!(stays_by_default(at(-5), at(-5)));
    }

    #[test]
    fn then_the_last_of_each_minute_and_then_of_each_hour() {
        // Ages that are whole hours fall on the beginning of an hour.
        let two_hours = 2 * HOUR_MS;
        assert!(!stays_by_default(at(two_hours), at(two_hours - 59_999)));
        assert!(stays_by_default(at(two_hours), at(two_hours - 60_000)));
        let two_days = 48 * HOUR_MS;
        let whole_hour = HOUR_MS - 1;
        assert!(!stays_by_default(at(two_days), at(two_days - whole_hour)));
        assert!(stays_by_default(at(two_days), at(two_days - HOUR_MS)));
        let long = 30 * 24 * HOUR_MS;
        assert!(stays_by_default(at(long - 1), at(0)));
        assert!(!stays_by_default(at(long), at(0)));
    }

    #[test]
    fn what_somebody_did_and_what_it_took_away_stay_exactly() {
        let days = 20 * 24 * HOUR_MS;
        assert!(stays_by_default(meant(days), at(days)));
        assert!(stays_by_default(at(days), meant(days)));
        // However much older the place is that was taken away.
        assert!(stays_by_default(at(10 * days), meant(days)));
        let long = 30 * 24 * HOUR_MS;
        assert!(!stays_by_default(meant(long), at(0)));
        assert!(!stays_by_default(at(long), meant(long)));
    }

    #[test]
    fn without_history_nothing_that_was_replaced_stays() {
        let none = History {
            all_ms: 0,
            minutely_ms: 0,
            hourly_ms: 0,
            max_bytes: 0,
        };
        assert!(!stays(&none, at(0), at(0), NOW));
        assert!(!stays(&none, meant(1), meant(0), NOW));
    }
}
