//! Records that retention leaves where they are because somebody has still to read them, within bounds: decisions only.
//!
//! Who that is the log does not know: it is told an offset.

/// What retention is to leave in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Records from this offset on are still to be read.
    pub from: i64,
    /// For how much longer than `retention.ms` they are kept at most, ms; where that is -1, there is no such bound.
    pub max_ms: i64,
    /// The most bytes that are kept past their time, in whole segments.
    pub max_bytes: u64,
}

/// A segment that retention would delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// The offset after its last record.
    pub(crate) end: i64,
    pub(crate) bytes: u64,
    /// How old its newest record is, ms.
    pub(crate) age_ms: i64,
}

impl Hold {
    /// Of segments that are due, oldest first, how many go all the same.
    pub(crate) fn released(&self, due: &[Due], retention_ms: i64) -> usize {
        let is_too_old =
            |due: &Due| retention_ms >= 0 && due.age_ms > retention_ms.saturating_add(self.max_ms);
        let is_released = |due: &Due| due.end <= self.from || is_too_old(due);
        let first = due.iter().rposition(is_released).map_or(0, |at| at + 1);
        // The youngest stay, as many as there is room for.
        let mut room = self.max_bytes;
        let fits = |due: &&Due| match room.checked_sub(due.bytes) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        };
        due.len() - due[first..].iter().rev().take_while(fits).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten records and 100 bytes, the oldest first; each is 10 ms older than the next, the last 1,000 ms old.
    fn due(count: i64) -> Vec<Due> {
        let segment = |at: i64| Due {
            end: (at + 1) * 10,
            bytes: 100,
            age_ms: 1000 + (count - 1 - at) * 10,
        };
        (0..count).map(segment).collect()
    }

    fn hold(from: i64, max_ms: i64, max_bytes: u64) -> Hold {
        Hold {
            from,
            max_ms,
            max_bytes,
        }
    }

    #[test]
    fn what_is_read_goes_and_the_rest_waits() {
        let wide = |from| hold(from, i64::MAX, u64::MAX).released(&due(5), 500);
        assert_eq!(wide(0), 0);
        assert_eq!(wide(19), 1, "the segment of the next record stays whole");
        assert_eq!(wide(20), 2);
        assert_eq!(wide(50), 5);
    }

    #[test]
    fn what_waits_is_bounded_in_bytes_and_in_time() {
        let five = due(5);
        assert_eq!(hold(0, i64::MAX, 250).released(&five, 500), 3);
        assert_eq!(hold(0, i64::MAX, 99).released(&five, 500), 5);
        // 1,020 ms is the most that 500 and 520 allow: the two oldest are older.
        assert_eq!(hold(0, 520, u64::MAX).released(&five, 500), 2);
        assert_eq!(hold(0, 0, u64::MAX).released(&five, -1), 0, "due by size");
    }
}
