//! The hours at whose end it is known exactly where a group was.
//!
//! History keeps the last move of each bookmark in each hour for `offsets.history.hourly.ms`, so every hour in which a
//! group moved is a snapshot of it that nobody has to take, and that costs nothing where nothing moved.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Str;
use catchword_wire::batch::Record;

use super::Key;
use crate::record::quick;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Gathers the hours in which a group moved while the records of its log come by.
#[derive(Debug)]
pub struct Hours {
    group_id: Str,
    since_ms: i64,
    until_ms: i64,
    places: BTreeSet<Key>,
    /// By their ends, with the bookmarks that there were then.
    ends: BTreeMap<i64, usize>,
}

impl Hours {
    /// The hours of a group that end after `since_ms`, and at `until_ms` at the latest, ms since 1970.
    pub fn new(group_id: Str, since_ms: i64, until_ms: i64) -> Hours {
        Hours {
            group_id,
            since_ms,
            until_ms,
            places: BTreeSet::new(),
            ends: BTreeMap::new(),
        }
    }

    /// Takes the next record of the log, of whatever group.
    pub fn note(&mut self, record: &Record) {
        let key = record.key.as_deref().and_then(quick::offset_key);
        let Some(key) = key.filter(|key| key.group_id == &*self.group_id) else {
            return;
        };
        let place = (Str::copy(key.topic), key.partition);
        match record.value {
            Some(_) => self.places.insert(place),
            None => self.places.remove(&place),
        };
        let end_ms = (record.timestamp.div_euclid(HOUR_MS) + 1).saturating_mul(HOUR_MS);
        if end_ms > self.since_ms && end_ms <= self.until_ms {
            self.ends.insert(end_ms, self.places.len());
        }
    }

    /// The ends of the hours, ms since 1970, each with how many bookmarks the group had then; the oldest first.
    pub fn finish(self) -> Vec<(i64, usize)> {
        self.ends.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::World;
    use super::*;

    fn hours(w: &World, group: &str, since_ms: i64, until_ms: i64) -> Vec<(i64, usize)> {
        let mut hours = Hours::new(Str::copy(group), since_ms, until_ms);
        w.log.iter().for_each(|(_, record)| hours.note(record));
        hours.finish()
    }

    #[test]
    fn every_hour_in_which_a_group_moved_is_known_and_no_other() {
        let mut w = World::new();
        let day = 24 * HOUR_MS;
        for (at_ms, places) in [
            (day + 1, &[(0, 5)][..]),
            (day + 2, &[(0, 6), (1, 1)]),
            (day + 5 * HOUR_MS, &[(0, 7)]),
        ] {
            w.now_ms = at_ms;
            w.commit("reader", "g", places);
        }
        w.commit("reader", "other", &[(0, 1)]);
        w.now_ms = day + 9 * HOUR_MS;
        w.delete("g");
        let all = [
            (day + HOUR_MS, 2),
            (day + 6 * HOUR_MS, 2),
            (day + 10 * HOUR_MS, 0),
        ];
        assert_eq!(hours(&w, "g", 0, i64::MAX), all);
        assert_eq!(
            hours(&w, "g", day + HOUR_MS, day + 10 * HOUR_MS - 1),
            all[1..2],
            "the hour that is not over yet is not known"
        );
    }

    #[test]
    fn the_end_of_an_hour_tells_what_the_ledger_tells() {
        let mut w = World::new();
        for (at_ms, offset) in [(5, 1), (HOUR_MS - 9, 2), (HOUR_MS + 1, 3)] {
            w.now_ms = at_ms;
            w.commit("reader", "g", &[(0, offset)]);
        }
        let (first_ms, count) = hours(&w, "g", 0, i64::MAX)[0];
        let then = w.ledger_at("g", first_ms).places;
        assert_eq!(then.len(), count);
        assert_eq!(then.values().next().map(|place| place.offset), Some(2));
    }
}
