//! Where each leader epoch begins in a log (KIP-101, KIP-320).
//!
//! Invariant: epochs and their start offsets both rise. No IO.

/// The leader epochs of a log, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(i32, i64)>,
}

/// What Kafka answers where an epoch is not known.
const UNKNOWN: (i32, i64) = (-1, -1);

impl LeaderEpochs {
    /// Takes entries as they were stored; those that do not rise are left out.
    pub(crate) fn from_entries(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for (epoch, start) in entries {
            epochs.assign(*epoch, *start);
        }
        epochs
    }

    pub(crate) fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    /// Notes that records from `start` on are of `epoch`. Says whether that was news.
    pub(crate) fn assign(&mut self, epoch: i32, start: i64) -> bool {
        if epoch < 0 || epoch <= self.latest() {
            return false;
        }
        // An epoch that got no records gives its place to the one that follows it.
        while self
            .entries
            .last()
            .is_some_and(|(_, last_start)| *last_start >= start)
        {
            self.entries.pop();
        }
        self.entries.push((epoch, start));
        true
    }

    /// The newest epoch, -1 if there is none.
    pub(crate) fn latest(&self) -> i32 {
        self.entries.last().map_or(-1, |(epoch, _)| *epoch)
    }

    /// The largest known epoch not above `epoch`, and where it ends.
    pub(crate) fn end_offset_for(&self, epoch: i32, log_end: i64) -> (i32, i64) {
        if epoch < 0 {
            return UNKNOWN;
        }
        if epoch == self.latest() {
            return (epoch, log_end);
        }
        let higher = self.entries.partition_point(|(known, _)| *known <= epoch);
        match (higher.checked_sub(1), self.entries.get(higher)) {
            (_, None) => UNKNOWN,
            // Older than all that is left: it ends where the log's oldest epoch begins.
            (None, Some((_, start))) => (epoch, *start),
            (Some(floor), Some((_, start))) => (self.entries[floor].0, *start),
        }
    }

    /// Forgets epochs that begin at or past `end`, for a log that was cut there.
    pub(crate) fn truncate_end(&mut self, end: i64) -> bool {
        let keep = self.entries.partition_point(|(_, start)| *start < end);
        let changed = keep < self.entries.len();
        self.entries.truncate(keep);
        changed
    }

    /// Forgets epochs that end at or before `start`; the one that `start` is in begins there now.
    pub(crate) fn truncate_start(&mut self, start: i64) -> bool {
        let after = self
            .entries
            .partition_point(|(_, epoch_start)| *epoch_start <= start);
        let Some(covering) = after.checked_sub(1) else {
            return false;
        };
        if self.entries[covering].1 == start && covering == 0 {
            return false;
        }
        self.entries[covering].1 = start;
        self.entries.drain(..covering);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> LeaderEpochs {
        LeaderEpochs::from_entries(&[(1, 10), (3, 20), (7, 50)])
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let cases = [
            (-1, UNKNOWN),
            (0, (0, 10)),
            (1, (1, 20)),
            (2, (1, 20)),
            (3, (3, 50)),
            (5, (3, 50)),
            (7, (7, 99)),
            (8, UNKNOWN),
        ];
        for (epoch, expected) in cases {
            assert_eq!(
                epochs().end_offset_for(epoch, 99),
                expected,
                "epoch {epoch}"
            );
        }
        assert_eq!(LeaderEpochs::default().end_offset_for(0, 99), UNKNOWN);
    }

    #[test]
    fn epochs_only_rise_and_an_empty_one_is_replaced() {
        let mut epochs = epochs();
        assert!(!epochs.assign(7, 60));
        assert!(!epochs.assign(6, 60));
        assert!(epochs.assign(8, 50));
        assert_eq!(epochs.entries(), [(1, 10), (3, 20), (8, 50)]);
    }

    #[test]
    fn cutting_the_log_cuts_its_epochs() {
        let mut cut = epochs();
        assert!(cut.truncate_end(50));
        assert_eq!(cut.entries(), [(1, 10), (3, 20)]);
        let mut cut = epochs();
        assert!(cut.truncate_start(30));
        assert_eq!(cut.entries(), [(3, 30), (7, 50)]);
        assert!(!cut.truncate_start(30));
        assert!(!epochs().truncate_start(5));
    }
}
