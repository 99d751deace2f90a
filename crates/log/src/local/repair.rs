//! Mends what a check of a stopped directory found: the work of `catchword doctor --repair`.
//!
//! Invariant: no sound record is removed. Bytes that are cut off or replaced are kept beside, in files that end with `.cut`
//! or `.damaged`; what can be computed again (indexes, producer snapshots, leader epochs) is computed from the log. Records
//! that are damaged are given up only if that is asked for. Killed anywhere, it can be run again.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use catchword_wire::batch::{ControlRecord, records};

use super::check::{Finding, Severity, check_locked};
use super::disk::{Disk, DiskHook};
use super::engine::acquire;
use super::names::{self, CUT, DAMAGED};
use super::recover::copy_tail;
use super::segment::{Segment, file_len};
use super::walk::{Walk, WalkError, read_batch};
use super::{checkpoint, journal, tidy, txn_index};
use crate::epochs::LeaderEpochs;
use crate::producer_snapshot;
use crate::producer_state::{Entering, Producers};
use crate::{AbortedTransaction, CheckSummary, LogError, TopicPartition};

/// What can be done about a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// What the journal holds is put into the logs' own files, as a start does it.
    Journal,
    /// Both indexes of the segment are built from its batches.
    RebuildIndexes {
        /// The segment.
        base: i64,
    },
    /// The end of the last segment is cut off, and kept.
    CutTail {
        /// Where the sound batches end, bytes.
        at: u64,
    },
    /// An interrupted compaction or deletion is finished or undone.
    Tidy,
    /// A producer snapshot is built from the log.
    RebuildSnapshot {
        /// The offset that it is for.
        at: i64,
    },
    /// The partition's indexes of aborted transactions are built from its batches.
    RebuildTxnIndexes,
    /// The leader epochs are read from the log.
    RebuildEpochs,
    /// The file gets another name; the broker does without it.
    SetAside,
    /// The segment is written anew without its damaged parts: their records are lost. The segment as it was is kept.
    DropDamaged {
        /// The damaged parts: first byte, and the byte after the last.
        bytes: Vec<(u64, u64)>,
        /// What is in them, in words.
        lost: String,
    },
}

impl Mend {
    /// Whether records are given up by it.
    pub fn loses_records(&self) -> bool {
        matches!(self, Mend::DropDamaged { .. })
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mend::RebuildIndexes { .. } => {
                f.write_str("build the segment's indexes from its batches")
            }
            Mend::CutTail { at } => write!(
                f,
                "cut the file at byte {at}; what is cut off is kept beside it ({CUT})"
            ),
            Mend::Journal => f.write_str("put into the logs what the journal holds"),
            Mend::Tidy => f.write_str("finish or undo what was interrupted"),
            Mend::RebuildSnapshot { .. } => f.write_str("build the snapshot from the log"),
            Mend::RebuildTxnIndexes => {
                f.write_str("build the indexes of aborted transactions from the log")
            }
            Mend::RebuildEpochs => f.write_str("read the leader epochs from the log"),
            Mend::SetAside => write!(
                f,
                "rename the file ({DAMAGED}); the broker starts without it"
            ),
            Mend::DropDamaged { lost, .. } => {
                write!(
                    f,
                    "give up {lost}: write the segment without them, and keep it as it was beside ({DAMAGED})"
                )
            }
        }
    }
}

/// How a repair goes about it.
#[derive(Clone, Default)]
pub struct RepairOptions {
    /// Give up records that are damaged, so that those after them can be used.
    pub drop_damaged: bool,
    /// Sees and may refuse each change to the disk: for tests.
    pub disk_hook: Option<std::sync::Arc<dyn DiskHook>>,
}

/// Checks a data directory that no broker has open, and mends what it finds. `on_mended` is told each finding that was
/// mended. What was found is as [`check_dir`](crate::check_dir) says it before the repair.
///
/// # Errors
/// [`LogError::Locked`] if a broker has it; what the disk says, and then what was mended so far stays so.
pub fn repair_dir(
    path: &Path,
    options: &RepairOptions,
    on_mended: &mut dyn FnMut(&Finding),
) -> Result<CheckSummary, LogError> {
    tidy::list(path)?;
    let _lock = acquire(path)?;
    let disk = Disk::new(options.disk_hook.clone());
    let mut found = Vec::new();
    let summary = check_locked(path, &mut |finding| found.push(finding.clone()))?;
    // What is in the journal is missing in the logs, and a compaction that is finished replaces segments: what was found in
    // them is looked for again.
    for first in [Mend::Journal, Mend::Tidy] {
        if found
            .iter()
            .any(|finding| finding.mend.as_ref() == Some(&first))
        {
            mend(&disk, &found, &|mend| *mend == first, on_mended)?;
            found.clear();
            check_locked(path, &mut |finding| found.push(finding.clone()))?;
        }
    }
    // What else is computed from a segment is computed when its batches are in order.
    found.sort_by_key(|finding| match &finding.mend {
        Some(Mend::CutTail { .. }) => 0,
        Some(Mend::DropDamaged { .. }) => 1,
        _ => 2,
    });
    let is_done = |mend: &Mend| matches!(mend, Mend::Journal | Mend::Tidy);
    let may = |mend: &Mend| !is_done(mend) && (options.drop_damaged || !mend.loses_records());
    mend(&disk, &found, &may, on_mended)?;
    Ok(summary)
}

/// Mends what it may. A partition that cannot be tidied is left as it is, and does not keep the others from being mended.
fn mend(
    disk: &Disk,
    found: &[Finding],
    may: &dyn Fn(&Mend) -> bool,
    on_mended: &mut dyn FnMut(&Finding),
) -> Result<(), LogError> {
    let partitions = |such: &dyn Fn(&Finding) -> bool| -> BTreeSet<Option<TopicPartition>> {
        let such = found.iter().filter(|finding| such(finding));
        such.map(|finding| finding.partition.clone()).collect()
    };
    let untidy = partitions(&|f| f.mend == Some(Mend::Tidy) && !may(&Mend::Tidy));
    // What is computed from all of a log waits until all of it can be read.
    let damaged =
        partitions(&|f| f.severity == Severity::Damage && !f.mend.as_ref().is_some_and(may));
    for finding in found {
        let Some(mend) = finding.mend.as_ref().filter(|mend| may(mend)) else {
            continue;
        };
        let from_the_log = matches!(
            mend,
            Mend::RebuildSnapshot { .. } | Mend::RebuildTxnIndexes | Mend::RebuildEpochs
        );
        if untidy.contains(&finding.partition)
            || (from_the_log && damaged.contains(&finding.partition))
        {
            continue;
        }
        match apply(disk, &finding.path, mend) {
            Ok(()) => on_mended(finding),
            // The check says it again.
            Err(LogError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn apply(disk: &Disk, path: &Path, mend: &Mend) -> Result<(), LogError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    match mend {
        Mend::Journal => journal::replay(disk, dir).map(drop),
        Mend::RebuildIndexes { base } => rebuild_indexes(disk, dir, *base),
        Mend::CutTail { at } => cut_tail(disk, path, *at),
        Mend::Tidy => tidy::tidy(disk, dir).map(drop),
        Mend::RebuildSnapshot { at } => rebuild_snapshot(disk, dir, path, *at),
        Mend::RebuildTxnIndexes => rebuild_txn_indexes(disk, dir),
        Mend::RebuildEpochs => rebuild_epochs(disk, dir, path),
        Mend::SetAside => set_aside(disk, path),
        Mend::DropDamaged { bytes, .. } => drop_damaged(disk, path, bytes),
    }?;
    disk.sync_dir(dir)
}

fn rebuild_indexes(disk: &Disk, dir: &Path, base: i64) -> Result<(), LogError> {
    let len = file_len(&dir.join(names::file_name(base, names::LOG)))?;
    let mut indexes = Segment::new(base, len, None).build_indexes(dir)?;
    for extension in [names::INDEX, names::TIME_INDEX] {
        disk.remove_file(&dir.join(names::file_name(base, extension)))?;
    }
    indexes.seal(disk, dir, "")
}

fn cut_tail(disk: &Disk, path: &Path, at: u64) -> Result<(), LogError> {
    let file = disk.open(path)?;
    let kept = with_suffix(path, &format!(".{at}{CUT}"));
    copy_tail(disk, &file, path, &kept, at, file_len(path)?)?;
    disk.sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    disk.truncate(&file, path, at)?;
    disk.sync(&file, path)
}

fn set_aside(disk: &Disk, path: &Path) -> Result<(), LogError> {
    disk.rename(path, &kept_name(path))
}

/// A name for the file as it was that nothing has yet, so that an earlier repair's copy stays.
fn kept_name(path: &Path) -> std::path::PathBuf {
    let mut kept = with_suffix(path, DAMAGED);
    let mut n = 2;
    while kept.exists() {
        kept = with_suffix(path, &format!(".{n}{DAMAGED}"));
        n += 1;
    }
    kept
}

fn drop_damaged(disk: &Disk, path: &Path, damaged: &[(u64, u64)]) -> Result<(), LogError> {
    // Kafka and we remove files of this name at a start: the segment as it was still has its own.
    let fresh = with_suffix(path, names::CLEANED);
    disk.remove_file(&fresh)?;
    let old = disk.open(path)?;
    let new = disk.open(&fresh)?;
    let (mut from, mut to, end) = (0, 0, file_len(path)?);
    for (first, after) in damaged.iter().copied().chain([(end, end)]) {
        copy_part(disk, (&old, path, from), (&new, &fresh, to), first - from)?;
        to += first - from;
        from = after;
    }
    disk.sync(&new, &fresh)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    // A copy of the old file, not its name: so there is a segment of this name at every moment.
    let kept = kept_name(path);
    let copy = disk.open(&kept)?;
    copy_part(disk, (&old, path, 0), (&copy, &kept, 0), end)?;
    disk.sync(&copy, &kept)?;
    disk.sync_dir(dir)?;
    disk.rename(&fresh, path)?;
    match path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(names::parse_file_name)
    {
        Some((base, _)) => rebuild_indexes(disk, dir, base),
        None => Ok(()),
    }
}

type Place<'a> = (&'a fs::File, &'a Path, u64);

fn copy_part(disk: &Disk, from: Place<'_>, to: Place<'_>, len: u64) -> Result<(), LogError> {
    use std::os::unix::fs::FileExt;
    let mut buffer = vec![0; 1024 * 1024];
    let mut done = 0;
    while done < len {
        let part = buffer.len().min((len - done) as usize);
        from.0
            .read_exact_at(&mut buffer[..part], from.2 + done)
            .map_err(|error| LogError::io("read", from.1, error))?;
        let mut slices = [std::io::IoSlice::new(&buffer[..part])];
        disk.write_at(to.0, to.1, to.2 + done, &mut slices)?;
        done += part as u64;
    }
    Ok(())
}

fn rebuild_snapshot(disk: &Disk, dir: &Path, path: &Path, at: i64) -> Result<(), LogError> {
    let (producers, _) = replay(dir, at)?;
    disk.replace(path, &producer_snapshot::encode(&producers))
}

fn rebuild_txn_indexes(disk: &Disk, dir: &Path) -> Result<(), LogError> {
    let (_, aborted) = replay(dir, i64::MAX)?;
    let names = tidy::list(dir)?;
    let bases = names
        .iter()
        .filter_map(|name| match names::parse_file_name(name) {
            Some((base, names::LOG)) => Some(Arc::new(Segment::new(base, 0, None))),
            _ => None,
        });
    let segments: Vec<Arc<Segment>> = bases.collect();
    // Nothing is known from the files.
    txn_index::load(disk, dir, &segments, i64::MIN, &aborted).map(drop)
}

/// The producers at an offset, and the transactions that were aborted below it.
fn replay(dir: &Path, below: i64) -> Result<(Producers, Vec<AbortedTransaction>), LogError> {
    let (mut producers, mut aborted) = (Producers::default(), Vec::new());
    for_each_batch(dir, below, &mut |batch| {
        if batch.header.has_producer_id() {
            let marker = match batch.header.is_control() {
                true => batch.first_record().as_ref().and_then(ControlRecord::parse),
                false => None,
            };
            let header = &batch.header;
            aborted.extend(producers.replay(&Entering {
                header,
                base_offset: header.base_offset,
                marker,
            }));
        }
    })?;
    Ok((producers, aborted))
}

fn rebuild_epochs(disk: &Disk, dir: &Path, path: &Path) -> Result<(), LogError> {
    let mut epochs = LeaderEpochs::from_entries(&[]);
    for_each_batch(dir, i64::MAX, &mut |batch| {
        let header = &batch.header;
        if header.partition_leader_epoch > epochs.latest() {
            epochs.assign(header.partition_leader_epoch, header.base_offset);
        }
    })?;
    disk.replace(path, checkpoint::write_epochs(epochs.entries()).as_bytes())
}

/// A batch that passes by; its records are read only if they are wanted.
struct Passing<'a> {
    header: catchword_wire::batch::BatchHeader,
    file: &'a fs::File,
    located: &'a super::walk::Located,
}

impl Passing<'_> {
    fn first_record(&self) -> Option<catchword_wire::batch::Record> {
        let batch = read_batch(self.file, self.located).ok()?;
        records(&batch).ok()?.next()?.ok()
    }
}

/// The batches of a partition below an offset, as far as each segment is sound.
fn for_each_batch(
    dir: &Path,
    below: i64,
    each: &mut dyn FnMut(&Passing<'_>),
) -> Result<(), LogError> {
    for name in tidy::list(dir)? {
        if !matches!(names::parse_file_name(&name), Some((base, names::LOG)) if base < below) {
            continue;
        }
        let path = dir.join(name);
        let file = fs::File::open(&path).map_err(|error| LogError::io("open", &path, error))?;
        let mut walk = Walk::new(&file, 0, file_len(&path)?);
        loop {
            match walk.step() {
                Ok(Some(located)) if located.header.base_offset < below => each(&Passing {
                    header: located.header.clone(),
                    file: &file,
                    located: &located,
                }),
                Err(WalkError::Io(error)) => return Err(LogError::io("read", &path, error)),
                Ok(_) | Err(_) => break,
            }
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
