//! A segment's index files held against its batches: part of the check of a stopped directory.

use std::path::Path;

use super::index::{OffsetEntry, TimeEntry, read_offset_entries, read_time_entries};
use super::names;
use super::walk::Located;

/// An offset index held against the batches that pass by.
pub(super) struct Offsets {
    entries: std::vec::IntoIter<OffsetEntry>,
    due: Option<OffsetEntry>,
    wrong: Option<String>,
    missing: bool,
}

impl Offsets {
    pub(super) fn new(dir: &Path, base: i64) -> Offsets {
        let mut missing = false;
        let read = read_offset_entries(&dir.join(names::file_name(base, names::INDEX)), base);
        let (entries, wrong) = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                missing = true;
                (Vec::new(), None)
            }
            Err(error) => (
                Vec::new(),
                Some(format!("the offset index cannot be read: {error}")),
            ),
            Ok((entries, false)) => (entries, None),
            Ok((entries, true)) => {
                let what = format!("the offset index is torn after {} entries", entries.len());
                (entries, Some(what))
            }
        };
        let mut entries = entries.into_iter();
        Offsets {
            due: entries.next(),
            entries,
            wrong,
            missing,
        }
    }

    pub(super) fn pass(&mut self, located: &Located) {
        if self.due.is_some_and(|due| due.position == located.position) {
            if self
                .due
                .is_some_and(|due| due.offset == located.header.last_offset())
            {
                self.due = self.entries.next();
            } else {
                self.wrong.get_or_insert(self.mismatch());
            }
        }
    }

    fn mismatch(&self) -> String {
        let due = self.due.map_or((0, 0), |due| (due.offset, due.position));
        format!(
            "the offset index says offset {} ends the batch at byte {}; it does not",
            due.0, due.1
        )
    }

    /// What is wrong with it, if anything.
    pub(super) fn finish(self, may_be_missing: bool) -> Option<String> {
        if self.missing && !may_be_missing {
            return Some("the offset index is missing".to_owned());
        }
        let left = self.due.map(|_| self.mismatch());
        self.wrong.or(left)
    }
}

/// A time index held against the batches that pass by: no record up to an entry's offset may be newer than the entry.
pub(super) struct Times {
    entries: std::vec::IntoIter<TimeEntry>,
    due: Option<TimeEntry>,
    wrong: Option<String>,
    missing: bool,
}

impl Times {
    pub(super) fn new(dir: &Path, base: i64) -> Times {
        let mut missing = false;
        let read = read_time_entries(&dir.join(names::file_name(base, names::TIME_INDEX)), base);
        let (entries, wrong) = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                missing = true;
                (Vec::new(), None)
            }
            Err(error) => (
                Vec::new(),
                Some(format!("the time index cannot be read: {error}")),
            ),
            Ok((entries, false)) => (entries, None),
            Ok((entries, true)) => {
                let what = format!("the time index is torn after {} entries", entries.len());
                (entries, Some(what))
            }
        };
        let mut entries = entries.into_iter();
        Times {
            due: entries.next(),
            entries,
            wrong,
            missing,
        }
    }

    pub(super) fn pass(&mut self, located: &Located) {
        while self
            .due
            .is_some_and(|due| due.offset < located.header.last_offset())
        {
            self.due = self.entries.next();
        }
        let newest = located.header.max_timestamp;
        if let Some(due) = self.due.filter(|due| newest > due.timestamp) {
            self.wrong.get_or_insert(format!(
                "the time index says nothing up to offset {} is newer than {}; a record of {newest} is",
                due.offset, due.timestamp
            ));
        }
    }

    /// What is wrong with it, if anything.
    pub(super) fn finish(self, may_be_missing: bool) -> Option<String> {
        if self.missing && !may_be_missing {
            return Some("the time index is missing".to_owned());
        }
        self.wrong
    }
}
