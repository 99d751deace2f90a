//! Reads a stopped data directory and says what is wrong with it, and what to do: the work of `catchword doctor`.
//!
//! Invariant: nothing is changed. Every batch is read, its CRC compared and its records opened; every index entry is held
//! against the log it points into.

use std::fs;
use std::path::{Path, PathBuf};

use super::check_txn::Walked;
use super::engine::{acquire, read_offsets};
use super::names::{self, CLEANED, CUT, DAMAGED, DELETED, SWAP};
use super::repair::Mend;
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
    /// What [`repair_dir`](crate::repair_dir) does about it, if it can do something.
    pub mend: Option<Mend>,
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
    tidy::list(path)?;
    // A directory that was never opened is not made to look as if it had been.
    let _lock = match path.join(names::LOCK).exists() {
        true => Some(acquire(path)?),
        false => None,
    };
    check_locked(path, on_finding)
}

/// As [`check_dir`], for whoever has the lock.
pub(crate) fn check_locked(
    path: &Path,
    on_finding: &mut dyn FnMut(&Finding),
) -> Result<CheckSummary, LogError> {
    format::check(path)?;
    let all = tidy::list(path)?;
    let mut check = Check {
        dir: path.to_owned(),
        clean: path.join(names::CLEAN_SHUTDOWN).exists(),
        partition: None,
        durable: 0,
        walked: Walked::default(),
        summary: CheckSummary::default(),
        on_finding,
    };
    if !check.clean {
        check.note(
            path,
            "the broker was not stopped cleanly",
            "the next start checks what was written last",
        );
    }
    let journal = path.join(names::JOURNAL);
    if !check.clean && journal.exists() {
        check.find(
            Severity::Mends,
            &journal,
            "what was acknowledged last may be here alone",
            "the next start puts it into the logs; whatever is said below of their ends may come of that",
            Some(Mend::Journal),
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
            check.durable = recovery_points.get(&partition).copied().unwrap_or(0);
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

/// A check under way.
pub(super) struct Check<'a> {
    dir: PathBuf,
    pub(super) clean: bool,
    partition: Option<TopicPartition>,
    /// Up to where the partition's records were on stable storage.
    pub(super) durable: i64,
    /// The partition's transactions.
    pub(super) walked: Walked,
    pub(super) summary: CheckSummary,
    on_finding: &'a mut dyn FnMut(&Finding),
}

impl Check<'_> {
    pub(super) fn find(
        &mut self,
        severity: Severity,
        path: &Path,
        what: impl Into<String>,
        advice: &str,
        mend: Option<Mend>,
    ) {
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
            mend,
        });
    }

    fn note(&mut self, path: &Path, what: impl Into<String>, advice: &str) {
        self.find(Severity::Note, path, what, advice, None);
    }

    fn offsets(&mut self, name: &str) -> std::collections::BTreeMap<TopicPartition, i64> {
        let path = self.dir.join(name);
        read_offsets(&self.dir, name).unwrap_or_else(|error| {
            self.find(
                Severity::Damage,
                &path,
                error.to_string(),
                "the broker does not start with it: restore it from a backup, or remove it; then every log is checked whole, and records deleted by DeleteRecords may come back",
                Some(Mend::SetAside),
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
                None,
            );
        }
    }

    /// Checks a partition's directory; returns where its log ends.
    fn partition_dir(&mut self, dir: &Path) -> Result<i64, LogError> {
        self.summary.partitions += 1;
        let names = tidy::list(dir)?;
        let mut bases = Vec::new();
        let mut newest_snapshot = 0;
        for name in &names {
            let path = dir.join(name);
            match names::parse_file_name(name) {
                Some((base, names::LOG)) => bases.push(base),
                Some((at, names::SNAPSHOT)) => {
                    newest_snapshot = at;
                    self.snapshot(&path, at);
                }
                _ => self.leftover(&path, name),
            }
        }
        self.metadata(dir);
        self.leader_epochs(dir);
        let (mut end, damages) = (0, self.summary.damages);
        self.walked = Walked::default();
        for (at, base) in bases.iter().enumerate() {
            let path = dir.join(names::file_name(*base, names::LOG));
            if at > 0 && *base < end {
                let what = format!("begins at {base}, but the segment before it ends at {end}");
                self.find(
                    Severity::Damage,
                    &path,
                    what,
                    "two segments overlap: restore a backup",
                    None,
                );
            }
            end = self
                .segment(dir, *base, bases.get(at + 1).copied())?
                .max(*base);
        }
        // A log that cannot be read whole shows only some of its transactions.
        if self.summary.damages == damages {
            let known_below = if self.clean { end } else { newest_snapshot };
            let walked = std::mem::take(&mut self.walked);
            self.txn_indexes(dir, &bases, known_below, &walked)?;
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
        } else if name.ends_with(DAMAGED) {
            self.note(
                path,
                "a copy from before a repair",
                "keep it as long as you may want to look at what was given up, then remove it",
            );
        } else if name.ends_with(SWAP) {
            let advice = "the next start finishes it";
            self.find(
                Severity::Mends,
                path,
                "a compaction was interrupted",
                advice,
                Some(Mend::Tidy),
            );
        } else if name.ends_with(CLEANED) || name.ends_with(DELETED) {
            let advice = "the next start removes it";
            self.find(
                Severity::Mends,
                path,
                "a compaction or deletion was interrupted",
                advice,
                Some(Mend::Tidy),
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
                None,
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
            self.find(
                Severity::Mends,
                &path,
                what,
                advice,
                Some(Mend::RebuildEpochs),
            );
        }
    }

    fn snapshot(&mut self, path: &Path, at: i64) {
        let bytes = fs::read(path).unwrap_or_default();
        if let Err(detail) = producer_snapshot::decode(&bytes) {
            let what = format!("the producer snapshot is damaged: {detail}");
            let advice = "the next start reads the producers from an older one and the log";
            self.find(
                Severity::Mends,
                path,
                what,
                advice,
                Some(Mend::RebuildSnapshot { at }),
            );
        }
    }
}
