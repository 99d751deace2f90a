//! Reads a partition of `__consumer_offsets`, taking apart only what may matter.
//!
//! Invariant: a record that is wanted is never left out: where a block is compressed or does not show by its bytes
//! whether it matters, it is taken apart.

use std::collections::BTreeSet;

use catchword_coordinator::ledger::{Change, ChangeId, Ledger, Limits, group_of, needle};
use catchword_log::{PartitionLog, Read, ReadLimit};
use catchword_wire::Str;
use catchword_wire::batch::{Batch, Compression, Record, records, split};
use memchr::memmem::{Finder, find};

use super::error::PlaneError;
use super::transactional::Transactional;
use crate::partition::Partition;

/// Bytes read at once: little enough to stay in the processor's cache.
const CHUNK: usize = 1 << 20;
/// Searching a block for more names than this costs more than taking it apart.
const MAX_NEEDLES: usize = 4;

/// What the names of our headers begin with.
const OURS: &[u8] = b"cw.";

/// Which blocks are taken apart.
pub(super) enum Wanted {
    /// Those with one of these in it.
    Any(Vec<Finder<'static>>),
    /// Those with one of these in it, and those in which no record says who wrote it: Apache Kafka's.
    AnyOrForeign(Vec<Finder<'static>>),
    All,
}

impl Wanted {
    pub(super) fn group(group: &str) -> Wanted {
        Wanted::Any(vec![Finder::new(&needle(group)).into_owned()])
    }

    pub(super) fn groups(groups: &BTreeSet<&Str>) -> Wanted {
        if groups.len() > MAX_NEEDLES {
            return Wanted::All;
        }
        let finder = |group: &&Str| Finder::new(&needle(group)).into_owned();
        Wanted::Any(groups.iter().map(finder).collect())
    }

    /// Blocks in which a record may say that it is more than reading on. Older versions did not say where from.
    pub(super) fn marked() -> Wanted {
        Wanted::or_foreign(&[
            "cw.from",
            "standalone",
            "-delete",
            "expire",
            "undo",
            "restore",
        ])
    }

    fn or_foreign(texts: &[&'static str]) -> Wanted {
        Wanted::AnyOrForeign(texts.iter().map(|text| Finder::new(*text)).collect())
    }

    fn may_be_in(&self, batch: &Batch) -> bool {
        if batch.header.compression() != Ok(Compression::None) {
            return true;
        }
        let has = |finder: &Finder<'_>| finder.find(&batch.bytes).is_some();
        match self {
            Wanted::All => true,
            Wanted::Any(finders) => finders.iter().any(has),
            Wanted::AnyOrForeign(finders) => {
                finders.iter().any(has) || find(&batch.bytes, OURS).is_none()
            }
        }
    }
}

/// Shows all records of a log from an offset on, in order. Blocks.
pub(crate) fn records_from(
    log: &dyn PartitionLog,
    offset: i64,
    mut each: impl FnMut(&Record),
) -> Result<(), PlaneError> {
    scan_from(log, offset, &Wanted::All, |_, record| each(record))
}

/// Shows the wanted records of a log in order, and perhaps others, with the base offset of their batch. Those of a
/// transaction count when it is committed. Blocks.
pub(super) fn scan(
    log: &dyn PartitionLog,
    wanted: &Wanted,
    each: impl FnMut(i64, &Record),
) -> Result<(), PlaneError> {
    scan_from(log, log.offsets().log_start, wanted, each)
}

/// As [`scan`], from an offset on: what is older of a transaction that ends there does not count.
pub(super) fn scan_from(
    log: &dyn PartitionLog,
    mut offset: i64,
    wanted: &Wanted,
    mut each: impl FnMut(i64, &Record),
) -> Result<(), PlaneError> {
    let end = log.offsets().log_end;
    let mut transactional = Transactional::default();
    while offset < end {
        let bytes = chunk(log, offset, CHUNK)?;
        if bytes.is_empty() {
            return Err(PlaneError::unreadable(format!(
                "no records at offset {offset}"
            )));
        }
        for batch in split(bytes) {
            let batch = batch.map_err(PlaneError::unreadable)?;
            offset = batch.header.next_offset();
            if batch.header.has_producer_id() {
                for batch in transactional.pass(batch).map_err(PlaneError::unreadable)? {
                    show(&batch, wanted, &mut each)?;
                }
            } else {
                show(&batch, wanted, &mut each)?;
            }
        }
    }
    Ok(())
}

fn show(
    batch: &Batch,
    wanted: &Wanted,
    each: &mut impl FnMut(i64, &Record),
) -> Result<(), PlaneError> {
    if !wanted.may_be_in(batch) {
        return Ok(());
    }
    for record in records(batch).map_err(PlaneError::unreadable)? {
        let record = record.map_err(PlaneError::unreadable)?;
        each(batch.header.base_offset, &record);
    }
    Ok(())
}

fn chunk(log: &dyn PartitionLog, offset: i64, max: usize) -> Result<bytes::Bytes, PlaneError> {
    let Read::Now(read) = log.read(offset, max, ReadLimit::LogEnd, true) else {
        return Err(PlaneError::unreadable("the log cannot be read at once"));
    };
    let fetched = read.map_err(PlaneError::unreadable)?;
    fetched.data.read().map_err(PlaneError::unreadable)
}

/// Which of these offsets have a record. Reads around them alone. Blocks.
pub(super) fn those_there(
    log: &dyn PartitionLog,
    asked: &BTreeSet<i64>,
) -> Result<BTreeSet<i64>, PlaneError> {
    let offsets = log.offsets();
    let mut there = BTreeSet::new();
    let mut next = offsets.log_start;
    for offset in asked.range(offsets.log_start..offsets.log_end) {
        if *offset < next {
            continue;
        }
        for batch in split(chunk(log, *offset, 1)?) {
            let batch = batch.map_err(PlaneError::unreadable)?;
            next = batch.header.next_offset();
            for record in records(&batch).map_err(PlaneError::unreadable)? {
                let record = record.map_err(PlaneError::unreadable)?;
                there.extend(Some(record.offset).filter(|offset| asked.contains(offset)));
            }
        }
    }
    Ok(there)
}

/// The group of the record at this offset; `None` if there is none.
pub(super) fn group_at(log: &dyn PartitionLog, offset: i64) -> Result<Option<Str>, PlaneError> {
    let offsets = log.offsets();
    if offset < offsets.log_start || offset >= offsets.log_end {
        return Ok(None);
    }
    for batch in split(chunk(log, offset, 1)?) {
        let batch = batch.map_err(PlaneError::unreadable)?;
        for record in records(&batch).map_err(PlaneError::unreadable)? {
            let record = record.map_err(PlaneError::unreadable)?;
            if record.offset == offset {
                return Ok(group_of(&record).map(Str::copy));
            }
        }
    }
    Ok(None)
}

/// The change that begins at this offset, read from its own records alone; `None` if they do not say what they replaced.
pub(super) fn change_at(
    shard: &Partition,
    group: &Str,
    id: ChangeId,
) -> Result<Option<Change>, PlaneError> {
    let log = &*shard.log;
    let end = log.offsets().log_end;
    let mut ledger = Ledger::sparse(id.shard, group.clone(), Limits::default());
    let mut offset = id.offset;
    while offset < end {
        let reach = ledger.reach();
        for batch in split(chunk(log, offset, 1)?) {
            let batch = batch.map_err(PlaneError::unreadable)?;
            offset = batch.header.next_offset();
            for record in records(&batch).map_err(PlaneError::unreadable)? {
                let record = record.map_err(PlaneError::unreadable)?;
                if record.offset >= id.offset {
                    ledger.note(batch.header.base_offset, &record);
                }
            }
        }
        if ledger.reach() == reach || ledger.has_ended_one() {
            break;
        }
    }
    let found = ledger.finish();
    let tells = |change: &&Change| change.moves.iter().all(|moved| moved.knows_from);
    let change = found.change(id).filter(tells);
    Ok(change.filter(|change| !change.kind.is_plain()).cloned())
}

/// What was done to a group from an offset on, oldest first.
pub(super) fn changes_since(
    shard: &Partition,
    group: &Str,
    offset: i64,
) -> Result<Vec<Change>, PlaneError> {
    let mut ledger = Ledger::sparse(shard.tp.partition, group.clone(), Limits::default());
    scan_from(
        &*shard.log,
        offset,
        &Wanted::group(group),
        |batch, record| {
            ledger.note(batch, record);
        },
    )?;
    Ok(ledger.finish().meant)
}
