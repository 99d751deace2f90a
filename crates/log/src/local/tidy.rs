//! A log's directory as a crash may have left it, put in order.
//!
//! Invariant: afterwards there are segments, their indexes, snapshots and checkpoints, and nothing half done. A compacted
//! segment that was finished (`.swap`) takes the place of those that it replaces; one that was not (`.cleaned`) is removed.
//! Running this twice does what running it once does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::disk::Disk;
use super::names::{self, CLEANED, DELETED, SWAP};
use super::segment::{Segment, file_len};
use super::walk::Walk;
use crate::LogError;

/// What is in a log's directory.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Base offsets of the segments.
    pub(crate) segments: BTreeSet<i64>,
    /// Offsets of the producer snapshots.
    pub(crate) snapshots: BTreeSet<i64>,
    /// Base offsets of the segments with an index of aborted transactions.
    pub(crate) txn_indexes: BTreeSet<i64>,
}

/// Puts the directory in order and says what is in it.
pub(crate) fn tidy(disk: &Disk, dir: &Path) -> Result<Contents, LogError> {
    let names = list(dir)?;
    let unfinished = names.iter().filter(|name| name.ends_with(CLEANED));
    let first_unfinished = unfinished.filter_map(|name| offset_of(name)).min();
    let mut swaps = Vec::new();
    for name in &names {
        let is_swap = name.ends_with(SWAP);
        // As in Kafka: a swap beside unfinished files is itself unfinished, the segments it was made of still stand.
        let undone = is_swap
            && first_unfinished
                .zip(offset_of(name))
                .is_some_and(|(first, offset)| offset >= first);
        if undone || name.ends_with(DELETED) || name.ends_with(CLEANED) {
            disk.remove_file(&dir.join(name))?;
        } else if is_swap {
            swaps.push(name.clone());
        }
    }
    // Indexes whose log is not among the swaps belong to a compaction that did not come to pass.
    let log_swap = |name: &String| names.contains(&log_of(name));
    let (swaps, orphans): (Vec<String>, Vec<String>) = swaps.into_iter().partition(log_swap);
    for name in orphans {
        disk.remove_file(&dir.join(name))?;
    }
    if !swaps.is_empty() {
        finish_swaps(disk, dir, &swaps)?;
    }
    contents(disk, dir)
}

fn finish_swaps(disk: &Disk, dir: &Path, swaps: &[String]) -> Result<(), LogError> {
    let log_swap = format!(".{}{SWAP}", names::LOG);
    for swap in swaps.iter().filter(|name| name.ends_with(&log_swap)) {
        let Some(base) = offset_of(swap) else {
            continue;
        };
        let end = next_offset(&dir.join(swap))?.unwrap_or(base).max(base + 1);
        tracing::info!(dir = %dir.display(), base, end, "finishing a compaction that a crash interrupted");
        for name in list(dir)? {
            let replaced = offset_of(&name).is_some_and(|offset| (base..end).contains(&offset));
            let stays = name.ends_with(SWAP)
                || name.ends_with(names::SNAPSHOT)
                || names::is_side_file(&name);
            if replaced && !stays {
                disk.remove_file(&dir.join(&name))?;
            }
        }
    }
    for swap in swaps {
        let to = swap.strip_suffix(SWAP).unwrap_or(swap);
        disk.rename(&dir.join(swap), &dir.join(to))?;
    }
    disk.sync_dir(dir)
}

/// The offset after the last batch of a segment file.
fn next_offset(path: &Path) -> Result<Option<i64>, LogError> {
    let file = fs::File::open(path).map_err(|error| LogError::io("open", path, error))?;
    let mut walk = Walk::new(&file, 0, file_len(path)?);
    let mut last = None;
    loop {
        match walk.step() {
            Ok(Some(located)) => last = Some(located.header.next_offset()),
            Ok(None) => return Ok(last),
            Err(error) => return Err(LogError::corrupt(path, error.to_string())),
        }
    }
}

fn contents(disk: &Disk, dir: &Path) -> Result<Contents, LogError> {
    let mut contents = Contents::default();
    let mut indexes = Vec::new();
    for name in list(dir)? {
        match names::parse_file_name(&name) {
            Some((offset, names::LOG)) => {
                contents.segments.insert(offset);
            }
            Some((offset, names::SNAPSHOT)) => {
                contents.snapshots.insert(offset);
            }
            Some((offset, names::INDEX | names::TIME_INDEX | names::TXN_INDEX)) => {
                indexes.push((offset, name));
            }
            _ => {}
        }
    }
    for (offset, name) in indexes {
        if contents.segments.contains(&offset) {
            if name.ends_with(names::TXN_INDEX) {
                contents.txn_indexes.insert(offset);
            }
        } else {
            disk.remove_file(&dir.join(name))?;
        }
    }
    Ok(contents)
}

/// The name of the log file of the swap that this file is part of.
fn log_of(name: &str) -> String {
    let digits = name.split('.').next().unwrap_or_default();
    format!("{digits}.{}{SWAP}", names::LOG)
}

fn offset_of(name: &str) -> Option<i64> {
    names::parse_file_name(name).map(|(offset, _)| offset)
}

/// The names in the directory, in order.
pub(crate) fn list(dir: &Path) -> Result<Vec<String>, LogError> {
    let failed = |error| LogError::io("list", dir, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        // A name that is not UTF-8 is none of ours.
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

/// Removes the segments' files and their snapshots.
pub(crate) fn remove_segments(
    disk: &Disk,
    dir: &Path,
    bases: impl Iterator<Item = i64>,
) -> Result<(), LogError> {
    for base in bases {
        Segment::new(base, 0, None).remove(disk, dir)?;
    }
    Ok(())
}
