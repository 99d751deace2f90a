//! A segment's index files held against its batches: part of the check of a stopped directory.

use std::io;
use std::path::Path;

use super::index::{
    OFFSET_ENTRY_LEN, OffsetEntry, TIME_ENTRY_LEN, TimeEntry, read_offset_entries,
    read_time_entries,
};
use super::names;
use super::walk::Located;

/// The entries of an index file, and what else there is to say of it.
struct Read<E> {
    entries: Vec<E>,
    wrong: Option<String>,
    /// What is no fault while the segment is being written: the file is not there yet, or Kafka has it at its full size,
    /// the rest of it zeros.
    unfinished: Option<String>,
}

impl<E> Read<E> {
    fn of(which: &str, path: &Path, entry_len: u64, read: io::Result<(Vec<E>, bool)>) -> Read<E> {
        let mut found = Read {
            entries: Vec::new(),
            wrong: None,
            unfinished: None,
        };
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                found.unfinished = Some(format!("the {which} index is missing"));
            }
            Err(error) => found.wrong = Some(format!("the {which} index cannot be read: {error}")),
            Ok((entries, torn)) => {
                let used = entries.len() as u64 * entry_len;
                let what = format!("the {which} index is torn after {} entries", entries.len());
                match torn {
                    true if only_zeros(path, used) => found.unfinished = Some(what),
                    true => found.wrong = Some(what),
                    false => {}
                }
                found.entries = entries;
            }
        }
        found
    }
}

fn only_zeros(path: &Path, from: u64) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    let rest = usize::try_from(from)
        .ok()
        .and_then(|from| bytes.get(from..));
    rest.is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
}

/// An offset index held against the batches that pass by.
pub(super) struct Offsets {
    entries: std::vec::IntoIter<OffsetEntry>,
    due: Option<OffsetEntry>,
    wrong: Option<String>,
    unfinished: Option<String>,
}

impl Offsets {
    pub(super) fn new(dir: &Path, base: i64) -> Offsets {
        let path = dir.join(names::file_name(base, names::INDEX));
        let read = Read::of(
            "offset",
            &path,
            OFFSET_ENTRY_LEN,
            read_offset_entries(&path, base),
        );
        let mut entries = read.entries.into_iter();
        Offsets {
            due: entries.next(),
            entries,
            wrong: read.wrong,
            unfinished: read.unfinished,
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
    pub(super) fn finish(self, may_be_unfinished: bool) -> Option<String> {
        let left = self.due.map(|_| self.mismatch());
        let unfinished = self.unfinished.filter(|_| !may_be_unfinished);
        unfinished.or(self.wrong).or(left)
    }
}

/// A time index held against the batches that pass by: no record up to an entry's offset may be newer than the entry.
pub(super) struct Times {
    entries: std::vec::IntoIter<TimeEntry>,
    due: Option<TimeEntry>,
    wrong: Option<String>,
    unfinished: Option<String>,
}

impl Times {
    pub(super) fn new(dir: &Path, base: i64) -> Times {
        let path = dir.join(names::file_name(base, names::TIME_INDEX));
        let read = Read::of(
            "time",
            &path,
            TIME_ENTRY_LEN,
            read_time_entries(&path, base),
        );
        let mut entries = read.entries.into_iter();
        Times {
            due: entries.next(),
            entries,
            wrong: read.wrong,
            unfinished: read.unfinished,
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
    pub(super) fn finish(self, may_be_unfinished: bool) -> Option<String> {
        let unfinished = self.unfinished.filter(|_| !may_be_unfinished);
        unfinished.or(self.wrong)
    }
}
