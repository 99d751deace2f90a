//! The same record in another log: pure.

use catchword_wire::batch::Record;

/// A place, by the records on both sides of it.
#[derive(Debug, Default)]
pub(super) struct Mark {
    /// The one that was read last.
    pub(super) last: Option<Record>,
    /// The one that is read next; `None`: there was none yet.
    pub(super) next: Option<Record>,
}

impl Mark {
    /// Before this time nothing of it is to be found, ms since 1970; `None` if there are no records.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let times = self.last.iter().chain(&self.next);
        times.map(|record| record.timestamp).min()
    }

    /// What counts where neither record is found: the time of the next, or of the last.
    pub(super) fn time_ms(&self) -> Option<i64> {
        let record = self.next.as_ref().or(self.last.as_ref());
        record.map(|record| record.timestamp)
    }
}

/// How a place was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Twin {
    /// The next record, behind the last one.
    Both,
    /// The next record, behind another one or at the beginning.
    Next,
    /// The record that was read last, where nothing came after it.
    Last,
    /// The first record that is not older.
    Time,
    /// All is older.
    NotYet,
    /// Nothing was ever written.
    Empty,
}

impl Twin {
    /// For the table, and for scripts: stays as it is.
    pub(super) fn words(self) -> &'static str {
        match self {
            Twin::Both => "same record",
            Twin::Next => "next record",
            Twin::Last => "last record",
            Twin::Time => "by time",
            Twin::NotYet => "not there yet",
            Twin::Empty => "empty",
        }
    }
}

/// Whether two records are copies of each other: all that a producer gave, and not where they are.
fn same(a: &Record, b: &Record) -> bool {
    a.timestamp == b.timestamp && a.key == b.key && a.value == b.value && a.headers == b.headers
}

/// Looks for a mark among the records of another log, which come by in order.
pub(super) struct Search<'a> {
    mark: &'a Mark,
    /// Whether the record before was the last one of the mark.
    behind_last: bool,
    both: Option<i64>,
    next: Option<i64>,
    last: Option<i64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(mark: &'a Mark) -> Self {
        Search {
            mark,
            behind_last: false,
            both: None,
            next: None,
            last: None,
        }
    }

    /// Takes the next record; whether to go on.
    pub(super) fn compare(&mut self, record: &Record) -> bool {
        let is = |one: &Option<Record>| one.as_ref().is_some_and(|one| same(one, record));
        if is(&self.mark.next) {
            self.next.get_or_insert(record.offset);
            if self.behind_last {
                self.both = Some(record.offset);
            }
        }
        self.behind_last = is(&self.mark.last);
        if self.behind_last {
            self.last.get_or_insert(record.offset + 1);
        }
        let done = match (&self.mark.last, &self.mark.next) {
            (Some(_), Some(_)) => self.both.is_some(),
            (None, _) => self.next.is_some(),
            (_, None) => self.last.is_some(),
        };
        !done
    }

    /// The place, and how it was found.
    pub(super) fn found(&self) -> Option<(i64, Twin)> {
        let both = self.both.map(|offset| (offset, Twin::Both));
        let next = self.next.map(|offset| (offset, Twin::Next));
        let last = self.last.map(|offset| (offset, Twin::Last));
        // Behind the last one is right as well where the next has not come there yet.
        both.or(next).or(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, name: &'static str) -> Record {
        Record {
            offset,
            timestamp: 1000,
            key: None,
            value: Some(name.into()),
            headers: Vec::new(),
        }
    }

    /// What is found of a place between two records in a log that holds these, from offset 100 on.
    fn found(
        last: Option<&'static str>,
        next: Option<&'static str>,
        log: &[&'static str],
    ) -> Option<(i64, Twin)> {
        let mark = Mark {
            last: last.map(|name| record(5, name)),
            next: next.map(|name| record(6, name)),
        };
        let mut search = Search::new(&mark);
        for (offset, name) in (100..).zip(log) {
            if !search.compare(&record(offset, name)) {
                break;
            }
        }
        search.found()
    }

    #[test]
    fn a_place_is_between_its_records() {
        assert_eq!(
            found(Some("b"), Some("c"), &["a", "b", "c", "d"]),
            Some((102, Twin::Both))
        );
        // A pair is worth more than an equal record before it.
        assert_eq!(
            found(Some("b"), Some("c"), &["c", "a", "b", "c"]),
            Some((103, Twin::Both))
        );
    }

    #[test]
    fn with_one_record_it_is_less_sure_and_the_first_one_counts() {
        assert_eq!(
            found(Some("b"), Some("c"), &["a", "c", "x", "c"]),
            Some((101, Twin::Next))
        );
        assert_eq!(found(None, Some("a"), &["a", "b"]), Some((100, Twin::Next)));
        assert_eq!(found(Some("d"), None, &["c", "d"]), Some((102, Twin::Last)));
        assert_eq!(
            found(Some("b"), Some("c"), &["a", "b"]),
            Some((102, Twin::Last)),
            "c is still to come"
        );
        assert_eq!(found(Some("b"), Some("c"), &["x", "y"]), None);
    }

    #[test]
    fn records_of_another_time_or_key_are_others() {
        let one = record(1, "a");
        assert!(same(&one, &record(99, "a")));
        let later = Record {
            timestamp: 1001,
            ..record(1, "a")
        };
        let keyed = Record {
            key: Some("k".into()),
            ..record(1, "a")
        };
        assert!(!same(&one, &later) && !same(&one, &keyed));
    }
}
