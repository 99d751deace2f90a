//! A log from its directory: at the first use, quickly after a clean stop, with recovery after a crash.
//!
//! Invariant: what a load gives is a log whose batches are sound, whose indexes lead to them, and whose producers and
//! epochs are those of its records. After a clean stop only the end of the last segment is looked at.

use std::fs;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use catchword_wire::batch::{ControlRecord, records};

use super::append::Writer;
use super::log::{Loaded, LocalLog, View};
use super::read::Hints;
use super::recover::{Scanned, cut, scan};
use super::segment::{Segment, file_len};
use super::sync::SyncState;
use super::tidy::{Contents, remove_segments, tidy};
use super::walk::Walk;
use super::{checkpoint, names, txn_index};
use crate::epochs::LeaderEpochs;
use crate::producer_snapshot;
use crate::producer_state::{Entering, Producers};
use crate::verification::Verifications;
use crate::{AbortedTransaction, LogError};

/// What is known of the log's end once its segments are in order.
struct Ended {
    segments: Vec<Arc<Segment>>,
    log_end: i64,
    /// Epochs seen while scanning.
    epochs: Vec<(i32, i64)>,
    /// Segments that may hold bytes that are not on stable storage.
    unsynced: Vec<Arc<Segment>>,
}

pub(crate) fn load(log: &LocalLog) -> Result<Loaded, LogError> {
    let core = &log.core;
    let contents = tidy(&core.disk, &log.dir)?;
    let recovery_point = core.recovery_point(&log.partition);
    let clean = log.created || core.was_clean;
    let log_start = core.log_start(&log.partition).unwrap_or(0);
    let checked_from = if clean {
        i64::MAX
    } else {
        recovery_point.unwrap_or(0)
    };
    let mut ended = end_of_log(log, &contents, checked_from, log_start)?;
    if ended.log_end < log_start {
        begin_anew(log, &mut ended, log_start)?;
    }
    let log_end = ended.log_end;
    if let Some(durable) = recovery_point.filter(|durable| *durable > log_end) {
        tracing::error!(partition = %log.partition, log_end, durable,
            "the log was durable further than it goes now: its last records are missing. Restore the partition's directory from a backup if they matter");
    }
    let first = ended
        .segments
        .first()
        .map_or(log_start, |segment| segment.base);
    let log_start = log_start.max(first);
    let (epochs, epochs_changed) = epochs(log, &ended, log_start)?;
    // Not from the log's start: what lies before it in its segment tells of producers and transactions all the same.
    let (producers, snapshot_offset, aborted) = producers(log, &contents, &ended, first, clean)?;
    let has_aborted = load_aborted(log, &contents, &ended, first, snapshot_offset, aborted)?;
    let durable_end = if clean {
        log_end
    } else {
        recovery_point.unwrap_or(0).min(log_end)
    };
    let mut sync = unsynced(log, &ended, clean)?;
    sync.epochs_changed = epochs_changed;
    let active = ended
        .segments
        .last()
        .cloned()
        .expect("a log has an active segment");
    let first_timestamp = active.first_timestamp(&log.dir)?;
    if clean {
        sync.durable_at = Some((active.id, active.len()));
    }
    let last_stable = producers.first_open_transaction().unwrap_or(log_end);
    // A log that is loaded to be looked at shall not keep a file open.
    ended
        .segments
        .iter()
        .for_each(|segment| segment.close_file());
    Ok(Loaded {
        writer: Mutex::new(Writer {
            next_offset: log_end,
            first_timestamp,
            begun_ms: first_timestamp.map_or(0, |_| core.now_ms()),
            producers,
            verifications: Verifications::default(),
            epochs,
            snapshot_offset,
            stopped: core.stopped(),
        }),
        view: Mutex::new(View {
            active_len: active.len(),
            segments: ended.segments.into(),
            log_start,
            log_end,
            high_watermark: log_end,
            last_stable,
        }),
        sync: Mutex::new(sync),
        file_sync: Mutex::new(()),
        durable_end: AtomicI64::new(durable_end),
        synced_end: AtomicI64::new(durable_end),
        hints: Mutex::new(Hints::default()),
        has_aborted: AtomicBool::new(has_aborted),
        rewrites: AtomicU64::new(0),
        held_bytes: AtomicU64::new(0),
    })
}

/// What a first sync has to do: after a crash, what the process before may not have got to.
fn unsynced(log: &LocalLog, ended: &Ended, clean: bool) -> Result<SyncState, LogError> {
    let mut sync = SyncState::default();
    for segment in &ended.unsynced {
        sync.add_sealed(segment.clone(), segment.file(&log.dir)?);
    }
    sync.names_changed |= !clean;
    sync.directory_is_new = log.created || !clean;
    Ok(sync)
}

/// Scans the segments that need it, and cuts the log where it is damaged.
fn end_of_log(
    log: &LocalLog,
    contents: &Contents,
    checked_from: i64,
    log_start: i64,
) -> Result<Ended, LogError> {
    let dir = &log.dir;
    let config = log.current_config();
    let bases: Vec<i64> = contents.segments.iter().copied().collect();
    let mut ended = Ended {
        segments: Vec::new(),
        log_end: log_start,
        epochs: Vec::new(),
        unsynced: Vec::new(),
    };
    for (at, base) in bases.iter().enumerate() {
        let len = file_len(&dir.join(names::file_name(*base, names::LOG)))?;
        let next_base = bases.get(at + 1).copied();
        let segment = Segment::new(*base, len, None);
        if next_base.is_some_and(|next| next <= checked_from) {
            ended.segments.push(Arc::new(segment));
            continue;
        }
        let mut scanned = scan(&segment, dir, &config, checked_from)?;
        if scanned.damage.is_some() && checked_from == i64::MAX {
            // The mark of a clean stop was wrong: check everything.
            scanned = scan(&segment, dir, &config, *base)?;
        }
        let damaged = scanned.damage.is_some();
        refuse_durable_damage(log, &segment, &scanned)?;
        let segment = Arc::new(finish(log, segment, scanned, &mut ended)?);
        ended.segments.push(segment.clone());
        if next_base.is_some() {
            ended.unsynced.push(segment);
        }
        if damaged {
            set_aside(log, &bases[at + 1..])?;
            break;
        }
    }
    if ended.segments.is_empty() {
        let indexes = super::index::Indexes::empty(log_start);
        ended
            .segments
            .push(Arc::new(Segment::new(log_start, 0, Some(indexes))));
    }
    Ok(ended)
}

/// What was on stable storage is not cut off: whoever restores the file shall find the rest as it was.
fn refuse_durable_damage(
    log: &LocalLog,
    segment: &Segment,
    scanned: &Scanned,
) -> Result<(), LogError> {
    let durable = log.core.recovery_point(&log.partition).unwrap_or(0);
    match &scanned.damage {
        Some(damage) if scanned.next_offset < durable => {
            let next = scanned.next_offset;
            Err(LogError::corrupt(
                &segment.path(&log.dir),
                format!(
                    "{damage}. Offsets {next} to {} were on stable storage, so the disk has lost them: restore the file from a backup; `catchword doctor` says more",
                    durable - 1
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// Takes over what a scan found; cuts off what it found damaged.
fn finish(
    log: &LocalLog,
    segment: Segment,
    scanned: Scanned,
    ended: &mut Ended,
) -> Result<Segment, LogError> {
    if let Some(damage) = &scanned.damage {
        let bytes = segment.len() - scanned.end;
        let kept = cut(
            &log.core.disk,
            &log.dir,
            &segment,
            scanned.end,
            scanned.next_offset,
        )?;
        match kept {
            None => tracing::info!(partition = %log.partition, bytes, damage,
                "cut off a write that a crash left unfinished"),
            Some(kept) => {
                tracing::error!(partition = %log.partition, damage, kept = %kept.display(),
                "the log is damaged before its end, and was cut there. The bytes behind the damage, with whole batches among them, are kept in a file: `catchword doctor` explains")
            }
        }
    }
    ended.log_end = scanned.next_offset;
    ended.epochs.extend(scanned.epochs);
    Ok(Segment::new(
        segment.base,
        scanned.end,
        Some(scanned.indexes),
    ))
}

/// Segments behind a damaged one cannot be part of the log; their files are kept under another name.
fn set_aside(log: &LocalLog, bases: &[i64]) -> Result<(), LogError> {
    let disk = &log.core.disk;
    for base in bases {
        let path = log.dir.join(names::file_name(*base, names::LOG));
        if file_len(&path)? > 0 {
            let to = log.dir.join(format!(
                "{}{}",
                names::file_name(*base, names::LOG),
                names::CUT
            ));
            tracing::error!(partition = %log.partition, kept = %to.display(),
                "a segment behind the damage is kept under another name");
            disk.rename(&path, &to)?;
        }
    }
    remove_segments(disk, &log.dir, bases.iter().copied())?;
    if bases.is_empty() {
        Ok(())
    } else {
        disk.sync_dir(&log.dir)
    }
}

/// All that is left lies below the log's start: the log goes on empty, from there.
fn begin_anew(log: &LocalLog, ended: &mut Ended, log_start: i64) -> Result<(), LogError> {
    tracing::warn!(partition = %log.partition, log_end = ended.log_end, log_start,
        "the log ends below its start offset; it goes on empty");
    let bases: Vec<i64> = ended.segments.iter().map(|segment| segment.base).collect();
    remove_segments(&log.core.disk, &log.dir, bases.into_iter())?;
    let indexes = super::index::Indexes::empty(log_start);
    ended.segments = vec![Arc::new(Segment::new(log_start, 0, Some(indexes)))];
    ended.unsynced.clear();
    ended.log_end = log_start;
    Ok(())
}

/// The leader epochs: those stored, put right by what the scan saw. True if they are not as stored.
fn epochs(log: &LocalLog, ended: &Ended, log_start: i64) -> Result<(LeaderEpochs, bool), LogError> {
    let path = log.dir.join(names::LEADER_EPOCHS);
    let stored = match fs::read_to_string(&path) {
        Ok(text) => checkpoint::read_epochs(&text)
            .inspect_err(|detail| {
                tracing::warn!(path = %path.display(), detail, "leader epochs are read from the log instead");
            })
            .ok(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(LogError::io("read", &path, error)),
    };
    let mut epochs = LeaderEpochs::from_entries(stored.as_deref().unwrap_or_default());
    if stored.is_none() {
        for segment in &ended.segments {
            let file = if segment.len() > 0 {
                segment.file(&log.dir)?
            } else {
                continue;
            };
            let mut walk = Walk::new(&file, 0, segment.len());
            if let Ok(Some(first)) = walk.step() {
                epochs.assign(
                    first.header.partition_leader_epoch,
                    first.header.base_offset,
                );
            }
        }
    }
    epochs.truncate_end(ended.log_end);
    for (epoch, start) in &ended.epochs {
        epochs.assign(*epoch, *start);
    }
    epochs.truncate_start(log_start);
    let changed = epochs.entries() != stored.as_deref().unwrap_or_default();
    Ok((epochs, changed))
}

/// Gives the segments their aborted transactions; says whether there are any. Those below `known_below` are in the files,
/// the others were found by the replay.
fn load_aborted(
    log: &LocalLog,
    contents: &Contents,
    ended: &Ended,
    first: i64,
    known_below: i64,
    found: Vec<AbortedTransaction>,
) -> Result<bool, LogError> {
    if contents.txn_indexes.is_empty() && found.is_empty() {
        return Ok(false);
    }
    let (disk, dir, segments) = (&log.core.disk, &log.dir, &ended.segments);
    if !txn_index::load(disk, dir, segments, known_below, &found)? {
        let all = replay(log, ended, first, &mut Producers::default())?;
        txn_index::load(disk, dir, segments, i64::MIN, &all)?;
    }
    Ok(true)
}

/// The producers: from the newest sound snapshot, and the batches behind it. With the offset of that snapshot, and the
/// transactions that were aborted behind it.
fn producers(
    log: &LocalLog,
    contents: &Contents,
    ended: &Ended,
    first: i64,
    clean: bool,
) -> Result<(Producers, i64, Vec<AbortedTransaction>), LogError> {
    let disk = &log.core.disk;
    let path = |offset| log.dir.join(names::file_name(offset, names::SNAPSHOT));
    for newer in contents.snapshots.range(ended.log_end + 1..) {
        disk.remove_file(&path(*newer))?;
    }
    let mut found = None;
    for offset in contents.snapshots.range(..=ended.log_end).rev() {
        let path = path(*offset);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            // Its segment was set aside just now.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LogError::io("read", &path, error)),
        };
        match producer_snapshot::decode(&bytes) {
            Ok(producers) => {
                found = Some((producers, *offset));
                break;
            }
            Err(detail) => {
                tracing::warn!(path = %path.display(), detail, "a producer snapshot is damaged; an older one and the log do");
                disk.remove_file(&path)?;
            }
        }
    }
    let Some((mut producers, offset)) = found else {
        // A clean stop stores a snapshot wherever there is a producer.
        if clean && contents.snapshots.is_empty() {
            return Ok((Producers::default(), ended.log_end, Vec::new()));
        }
        let mut producers = Producers::default();
        let aborted = replay(log, ended, first, &mut producers)?;
        return Ok((producers, -1, aborted));
    };
    if offset < first {
        // What ended them may have gone with the segments in between, and they have no record left.
        producers.forget_transactions_before(first);
    }
    let aborted = replay(log, ended, offset.max(first), &mut producers)?;
    Ok((producers, offset, aborted))
}

fn replay(
    log: &LocalLog,
    ended: &Ended,
    from: i64,
    producers: &mut Producers,
) -> Result<Vec<AbortedTransaction>, LogError> {
    let mut aborted = Vec::new();
    let dir = &log.dir;
    let first = ended
        .segments
        .partition_point(|segment| segment.base <= from)
        .saturating_sub(1);
    for segment in ended.segments[first..]
        .iter()
        .filter(|_| from < ended.log_end)
    {
        let Some(start) = segment.find_offset(dir, from, segment.len())? else {
            continue;
        };
        let file = segment.file(dir)?;
        let mut walk = Walk::new(&file, start.position, segment.len());
        while let Some(located) = walk
            .step()
            .map_err(|error| segment.walk_error(dir, error))?
        {
            if !located.header.has_producer_id() {
                continue;
            }
            let marker = if located.header.is_control() {
                let batch = segment.read_batch(dir, &located)?;
                let first = records(&batch)
                    .ok()
                    .and_then(|mut records| records.next()?.ok());
                first.as_ref().and_then(ControlRecord::parse)
            } else {
                None
            };
            let (header, base_offset) = (&located.header, located.header.base_offset);
            aborted.extend(producers.replay(&Entering {
                header,
                base_offset,
                marker,
            }));
        }
    }
    Ok(aborted)
}
