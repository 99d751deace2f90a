//! Reads a stopped data directory and says what is wrong with it, and what to do: the work of `catchword doctor`.
//!
//! Invariant: nothing is changed. Every batch is read, its CRC compared and its records opened; every index entry is held
//! against the log it points into.

use std::fs;
use std::path::{Path, PathBuf};

use catchword_wire::batch::{Batch, records};

use super::engine::{acquire, read_offsets};
use super::index::{OffsetEntry, TimeEntry, read_offset_entries, read_time_entries};
use super::names::{self, CLEANED, CUT, DELETED, SWAP};
use super::recover::holds_whole_batch;
use super::segment::file_len;
use super::walk::{Located, Walk, read_batch};
use super::{checkpoint, format, tidy};
use crate::api::TopicPartition;
use crate::epochs::LeaderEpochs;
use crate::{LogError, producer_snapshot};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// The next start puts it right, and nothing is lost by that.
    Mends,
    /// Records are damaged or missing.
    Damage,
}

/// Something about a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The partition, if it is about one.
    pub partition: Option<TopicPartition>,
    /// The file or directory.
    pub path: PathBuf,
    /// What is the matter.
    pub what: String,
    /// What to do, or what happens by itself.
    pub advice: String,
}

/// What was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckSummary {
    /// Partitions.
    pub partitions: u64,
    /// Segments.
    pub segments: u64,
    /// Sound batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of segment files.
    pub bytes: u64,
    /// Findings of severity [`Severity::Note`].
    pub notes: u64,
    /// Findings of severity [`Severity::Mends`].
    pub mends: u64,
    /// Findings of severity [`Severity::Damage`].
    pub damages: u64,
}

/// Checks a data directory that no broker has open. `on_finding` is told each finding as it is made.
///
/// # Errors
/// [`LogError::Locked`] if a broker has it; what the disk says if the directory itself cannot be read.
pub fn check_dir(
    path: &Path,
    on_finding: &mut dyn FnMut(&Finding),
) -> Result<CheckSummary, LogError> {
    let all = tidy::list(path)?;
    // A directory that was never opened is not made to look as if it had been.
    let _lock = match path.join(names::LOCK).exists() {
        true => Some(acquire(path)?),
        false => None,
    };
    format::check(path)?;
    let mut check = Check {
        dir: path.to_owned(),
        partition: None,
        summary: CheckSummary::default(),
        on_finding,
    };
    if !path.join(names::CLEAN_SHUTDOWN).exists() {
        check.note(
            path,
            "the broker was not stopped cleanly",
            "the next start checks what was written last",
        );
    }
    let recovery_points = check.offsets(names::RECOVERY_POINTS);
    let log_starts = check.offsets(names::LOG_STARTS);
    for name in all {
        let dir = path.join(&name);
        if name.ends_with(names::DELETE_DIR) {
            check.note(
                &dir,
                "the rest of a deleted partition",
                "the next start removes it",
            );
        } else if let Some(partition) = names::parse_directory(&name)
            && dir.is_dir()
        {
            check.partition = Some(partition.clone());
            let end = check.partition_dir(&dir)?;
            check.end(
                &dir,
                end,
                recovery_points.get(&partition),
                "was durable up to",
            );
            check.end(
                &dir,
                end,
                log_starts.get(&partition),
                "has its records deleted up to",
            );
            check.partition = None;
        }
    }
    Ok(check.summary)
}

struct Check<'a> {
    dir: PathBuf,
    partition: Option<TopicPartition>,
    summary: CheckSummary,
    on_finding: &'a mut dyn FnMut(&Finding),
}

impl Check<'_> {
    fn find(&mut self, severity: Severity, path: &Path, what: impl Into<String>, advice: &str) {
        match severity {
            Severity::Note => self.summary.notes += 1,
            Severity::Mends => self.summary.mends += 1,
            Severity::Damage => self.summary.damages += 1,
        }
        (self.on_finding)(&Finding {
            severity,
            partition: self.partition.clone(),
            path: path.to_owned(),
            what: what.into(),
            advice: advice.to_owned(),
        });
    }

    fn note(&mut self, path: &Path, what: impl Into<String>, advice: &str) {
        self.find(Severity::Note, path, what, advice);
    }

    fn offsets(&mut self, name: &str) -> std::collections::BTreeMap<TopicPartition, i64> {
        let path = self.dir.join(name);
        read_offsets(&self.dir, name).unwrap_or_else(|error| {
            self.find(
                Severity::Damage,
                &path,
                error.to_string(),
                "the broker does not start with it: restore it from a backup, or remove it; then every log is checked whole, and records deleted by DeleteRecords may come back",
            );
            Default::default()
        })
    }

    fn end(&mut self, dir: &Path, end: i64, known: Option<&i64>, what: &str) {
        if let Some(known) = known.filter(|known| **known > end) {
            let what = format!("the log ends at {end}, but {what} {known}");
            self.find(
                Severity::Damage,
                dir,
                what,
                "records are missing at its end: look for files that end with .cut, or restore a backup",
            );
        }
    }

    /// Checks a partition's directory; returns where its log ends.
    fn partition_dir(&mut self, dir: &Path) -> Result<i64, LogError> {
        self.summary.partitions += 1;
        let names = tidy::list(dir)?;
        let mut bases = Vec::new();
        for name in &names {
            let path = dir.join(name);
            match names::parse_file_name(name) {
                Some((base, names::LOG)) => bases.push(base),
                Some((_, names::SNAPSHOT)) => self.snapshot(&path),
                _ => self.leftover(&path, name),
            }
        }
        self.metadata(dir);
        self.leader_epochs(dir);
        let mut end = 0;
        for (at, base) in bases.iter().enumerate() {
            let path = dir.join(names::file_name(*base, names::LOG));
            if at > 0 && *base < end {
                let what = format!("begins at {base}, but the segment before it ends at {end}");
                self.find(
                    Severity::Damage,
                    &path,
                    what,
                    "two segments overlap: restore a backup",
                );
            }
            end = self.segment(dir, *base, at + 1 == bases.len())?.max(*base);
        }
        Ok(end)
    }

    fn leftover(&mut self, path: &Path, name: &str) {
        if name.ends_with(CUT) {
            self.note(
                path,
                "bytes that a recovery cut off because something before them was damaged",
                "whole batches are among them: keep the file if you miss records, or remove it",
            );
        } else if name.ends_with(SWAP) {
            let advice = "the next start finishes it";
            self.find(
                Severity::Mends,
                path,
                "a compaction was interrupted",
                advice,
            );
        } else if name.ends_with(CLEANED) || name.ends_with(DELETED) {
            let advice = "the next start removes it";
            self.find(
                Severity::Mends,
                path,
                "a compaction or deletion was interrupted",
                advice,
            );
        }
    }

    fn metadata(&mut self, dir: &Path) {
        let path = dir.join(names::PARTITION_METADATA);
        let text = fs::read_to_string(&path).unwrap_or_default();
        if names::parse_partition_metadata(&text).is_none() {
            let what = "the topic's id is missing";
            self.find(
                Severity::Mends,
                &path,
                what,
                "the next start writes it again",
            );
        }
    }

    fn leader_epochs(&mut self, dir: &Path) {
        let path = dir.join(names::LEADER_EPOCHS);
        let Ok(text) = fs::read_to_string(&path) else {
            return;
        };
        let wrong = match checkpoint::read_epochs(&text) {
            Err(detail) => Some(detail),
            Ok(epochs) => (LeaderEpochs::from_entries(&epochs).entries() != epochs)
                .then(|| "the epochs or their offsets do not rise".to_owned()),
        };
        if let Some(what) = wrong {
            let advice = "the next start reads the leader epochs from the log";
            self.find(Severity::Mends, &path, what, advice);
        }
    }

    fn snapshot(&mut self, path: &Path) {
        let bytes = fs::read(path).unwrap_or_default();
        if let Err(detail) = producer_snapshot::decode(&bytes) {
            let what = format!("the producer snapshot is damaged: {detail}");
            let advice = "the next start reads the producers from an older one and the log";
            self.find(Severity::Mends, path, what, advice);
        }
    }

    /// Checks a segment; returns the offset after its last sound batch.
    fn segment(&mut self, dir: &Path, base: i64, is_last: bool) -> Result<i64, LogError> {
        let path = dir.join(names::file_name(base, names::LOG));
        let len = file_len(&path)?;
        self.summary.segments += 1;
        self.summary.bytes += len;
        let mut offsets = Offsets::new(dir, base);
        let mut times = Times::new(dir, base);
        let file = fs::File::open(&path).map_err(|error| LogError::io("open", &path, error))?;
        let mut walk = Walk::new(&file, 0, len);
        let (mut position, mut next) = (0, base);
        let damage = loop {
            let located = match walk.step() {
                Ok(Some(located)) => located,
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            };
            if located.header.base_offset < next {
                break Some(format!(
                    "at byte {position}: offset {} follows {}",
                    located.header.base_offset,
                    next - 1
                ));
            }
            let batch = match read_batch(&file, &located) {
                Ok(batch) => batch,
                Err(error) => break Some(error.to_string()),
            };
            if let Err(error) = self.batch(&batch) {
                break Some(format!("at byte {position}: {error}"));
            }
            offsets.pass(&located);
            times.pass(&located);
            position = located.end();
            next = located.header.next_offset();
        };
        match damage {
            Some(damage) => self.damage(&path, &file, position, len, next, is_last, &damage),
            None => {
                self.index(
                    offsets.finish(),
                    &dir.join(names::file_name(base, names::INDEX)),
                );
                self.index(
                    times.finish(),
                    &dir.join(names::file_name(base, names::TIME_INDEX)),
                );
            }
        }
        Ok(next)
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), catchword_wire::batch::BatchError> {
        batch.verify_crc()?;
        for record in records(batch)? {
            record?;
            self.summary.records += 1;
        }
        self.summary.batches += 1;
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn damage(
        &mut self,
        path: &Path,
        file: &fs::File,
        position: u64,
        len: u64,
        next: i64,
        is_last: bool,
        damage: &str,
    ) {
        if is_last && !holds_whole_batch(file, position + 1, len, next) {
            let what = format!("{} bytes of an unfinished write ({damage})", len - position);
            self.find(Severity::Mends, path, what, "the next start cuts them off");
            return;
        }
        let what = format!("damaged from offset {next} on ({damage})");
        self.find(
            Severity::Damage,
            path,
            what,
            "restore the file from a backup. If it is not past the recovery point reads of what is damaged fail; else the next start cuts the log there and keeps the rest in a file that ends with .cut",
        );
    }

    fn index(&mut self, wrong: Option<String>, path: &Path) {
        if let Some(what) = wrong {
            let advice = "remove the file: it is built again when it is needed";
            self.find(Severity::Mends, path, what, advice);
        }
    }
}

/// An offset index held against the batches that pass by.
struct Offsets {
    entries: std::vec::IntoIter<OffsetEntry>,
    due: Option<OffsetEntry>,
    wrong: Option<String>,
}

impl Offsets {
    fn new(dir: &Path, base: i64) -> Offsets {
        let read = read_offset_entries(&dir.join(names::file_name(base, names::INDEX)), base);
        let (entries, wrong) = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), None),
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
        }
    }

    fn pass(&mut self, located: &Located) {
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

    fn finish(self) -> Option<String> {
        let left = self.due.map(|_| self.mismatch());
        self.wrong.or(left)
    }
}

/// A time index held against the batches that pass by: no record up to an entry's offset may be newer than the entry.
struct Times {
    entries: std::vec::IntoIter<TimeEntry>,
    due: Option<TimeEntry>,
    wrong: Option<String>,
}

impl Times {
    fn new(dir: &Path, base: i64) -> Times {
        let read = read_time_entries(&dir.join(names::file_name(base, names::TIME_INDEX)), base);
        let (entries, wrong) = match read {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Vec::new(), None),
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
        }
    }

    fn pass(&mut self, located: &Located) {
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

    fn finish(self) -> Option<String> {
        self.wrong
    }
}
