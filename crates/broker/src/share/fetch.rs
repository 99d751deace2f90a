//! Taking records: one pass over the partitions of a share session, and waiting for more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use catchword_coordinator::share::{Acquire, AcquiredRange, ShareKey, ShareSettings};
use catchword_log::{Fetched, Read, ReadError, ReadLimit};
use catchword_wire::batch::{Batch, ControlRecord, records, split};
use catchword_wire::{ErrorCode, Records, Str, Uuid};
use tokio::time::{Instant, timeout_at};

use super::settings::{first_start, isolation};
use super::{Shard, partition_of, settings};
use crate::broker::Broker;
use crate::clock;
use crate::fetch::Watching;
use crate::partition::Partition;

/// What a member wants.
pub(crate) struct Wanted {
    pub(crate) group_id: Str,
    pub(crate) member: Str,
    /// In the order in which they are to be served.
    pub(crate) places: Vec<(Uuid, i32)>,
    pub(crate) max_bytes: usize,
    pub(crate) max_records: i64,
    /// Whether not one record more may come.
    pub(crate) strict: bool,
    pub(crate) max_wait: Duration,
}

/// What it gets of one partition.
pub(crate) struct Got {
    pub(crate) topic_id: Uuid,
    pub(crate) partition: i32,
    pub(crate) error: ErrorCode,
    pub(crate) records: Records,
    pub(crate) acquired: Vec<AcquiredRange>,
}

/// Acquires records; waits for some if there are none.
pub(crate) async fn fetch(broker: &Broker, wanted: &Wanted) -> Vec<Got> {
    let deadline = Instant::now() + wanted.max_wait;
    let mut stopping = broker.stopping();
    let find = |(topic_id, partition): &(Uuid, i32)| {
        let key = key(wanted, *topic_id, *partition);
        partition_of(&broker.catalog, &key)
    };
    let watching = Watching::new(wanted.places.iter().filter_map(find).collect());
    loop {
        // What comes between the pass and the wait wakes it.
        watching.renew();
        let got = pass(broker, wanted).await;
        if !got.is_empty() || wanted.max_wait.is_zero() {
            return got;
        }
        tokio::select! {
            woken = timeout_at(deadline, watching.woken()) => if woken.is_err() { return got },
            _ = stopping.changed() => return got,
        }
    }
}

fn key(wanted: &Wanted, topic_id: Uuid, partition: i32) -> ShareKey {
    ShareKey {
        group_id: wanted.group_id.clone(),
        topic_id,
        partition,
    }
}

/// Looks at every partition once. Those that have nothing to say are left out.
async fn pass(broker: &Broker, wanted: &Wanted) -> Vec<Got> {
    let settings = settings(&broker.catalog, &wanted.group_id);
    let (mut bytes, mut records) = (wanted.max_bytes, wanted.max_records);
    let mut all = Vec::new();
    for (topic_id, index) in &wanted.places {
        if records <= 0 || (bytes == 0 && !all.is_empty()) {
            break;
        }
        let mut got = Got {
            topic_id: *topic_id,
            partition: *index,
            error: ErrorCode::None,
            records: Records::EMPTY,
            acquired: Vec::new(),
        };
        let key = key(wanted, *topic_id, *index);
        let limits = Limits {
            max_bytes: bytes,
            max_records: records,
            // One batch comes even if it is larger, if nothing came yet.
            at_least_one: all.is_empty(),
            settings,
        };
        match one(broker, wanted, &key, limits).await {
            Ok((data, acquired)) if acquired.is_empty() => drop(data),
            Ok((data, acquired)) => {
                bytes = bytes.saturating_sub(data.len());
                records -= acquired.iter().map(|a| a.last - a.first + 1).sum::<i64>();
                got.records = Records::from(data);
                got.acquired = acquired;
                all.push(got);
            }
            Err(error) => {
                got.error = error;
                all.push(got);
            }
        }
    }
    if all.iter().any(|got| !got.acquired.is_empty()) {
        broker.shares.locked();
    }
    all
}

struct Limits {
    max_bytes: usize,
    max_records: i64,
    at_least_one: bool,
    settings: ShareSettings,
}

/// What one partition gives. Empty if there is nothing to be had now.
async fn one(
    broker: &Broker,
    wanted: &Wanted,
    key: &ShareKey,
    limits: Limits,
) -> Result<(Bytes, Vec<AcquiredRange>), ErrorCode> {
    const NOTHING: (Bytes, Vec<AcquiredRange>) = (Bytes::new(), Vec::new());
    let topic = broker.catalog.topic_by_id(key.topic_id);
    let topic = topic.ok_or(ErrorCode::UnknownTopicId)?;
    let partition = crate::lookup::partition(&topic, key.partition)?;
    let shard = broker.shares.shard(key);
    let shard = shard.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    if shard.is_broken() {
        return Err(ErrorCode::CoordinatorNotAvailable);
    }
    begin(broker, &shard, key, partition).await?;
    let upto = isolation(&broker.catalog, &wanted.group_id);
    // Holes, and records that went with the log's start, are passed at once.
    loop {
        let next = shard.look(|state| state.get(key)?.next_offset(&limits.settings));
        let Some(from) = next else {
            return Ok(NOTHING);
        };
        let read = match partition
            .log
            .read(from, limits.max_bytes, upto, limits.at_least_one)
        {
            Read::Now(read) => read,
            Read::Later(future) => future.await,
        };
        let fetched = match read {
            Ok(fetched) => fetched,
            Err(ReadError::OutOfRange { .. }) => {
                let start = partition.log.offsets().log_start;
                if start <= from {
                    return Ok(NOTHING);
                }
                let now = clock::now_ms();
                drop(shard.with(|state, out| state.log_is(key, start, None, now, out)));
                continue;
            }
            Err(ReadError::Storage(error)) => {
                tracing::error!("{}: a read failed: {error}", partition.tp);
                return Err(ErrorCode::KafkaStorageError);
            }
        };
        let found = batches(&fetched, upto).map_err(|why| {
            tracing::error!("{}: from offset {from}: {why}", partition.tp);
            ErrorCode::KafkaStorageError
        })?;
        let Some(end) = found.end else {
            return Ok(NOTHING);
        };
        let ranges: Vec<(i64, i64)> = found.kept.iter().map(range).collect();
        let (acquired, _) = shard.with(|state, out| {
            let ask = Acquire {
                member: &wanted.member,
                now_ms: clock::now_ms(),
                settings: limits.settings,
                from,
                batches: &ranges,
                upto: end,
                max_records: limits.max_records,
                strict: wanted.strict,
            };
            state.acquire(key, &ask, out)
        });
        if !acquired.is_empty() {
            return Ok((only(&found.kept, &acquired), acquired));
        }
        let moved = shard.look(|state| state.get(key)?.next_offset(&limits.settings));
        if moved == next {
            return Ok(NOTHING);
        }
    }
}

/// Says where the group begins in a partition that it has not read before: durable before it reads.
async fn begin(
    broker: &Broker,
    shard: &Arc<Shard>,
    key: &ShareKey,
    partition: &Partition,
) -> Result<(), ErrorCode> {
    let begun = shard.look(|state| state.get(key).is_some_and(|p| p.is_initialized()));
    if begun {
        return Ok(());
    }
    let now = clock::now_ms();
    let start = first_start(&broker.catalog, &key.group_id, partition, now);
    let (_, pending) = shard.with(|state, out| {
        // Another may have come first.
        if !state.get(key).is_some_and(|p| p.is_initialized()) {
            state.set_start(key, start, now, out);
        }
    });
    pending.durable().await
}

struct Found {
    /// Those whose records may be seen.
    kept: Vec<Batch>,
    /// Where reading ended; `None` if nothing was read.
    end: Option<i64>,
}

/// The batches that were read, without markers and, where only committed records count, without aborted ones.
fn batches(fetched: &Fetched, upto: ReadLimit) -> Result<Found, String> {
    let bytes = fetched.data.read().map_err(|e| e.to_string())?;
    let mut aborted = fetched.aborted.clone();
    aborted.sort_unstable_by_key(|(_, first)| std::cmp::Reverse(*first));
    let mut open: BTreeSet<i64> = BTreeSet::new();
    let mut found = Found {
        kept: Vec::new(),
        end: None,
    };
    for batch in split(bytes) {
        let batch = batch.map_err(|e| e.to_string())?;
        let header = &batch.header;
        found.end = Some(header.next_offset());
        while let Some((producer, _)) = aborted.pop_if(|(_, first)| *first <= header.last_offset())
        {
            open.insert(producer);
        }
        if header.is_control() {
            if is_abort(&batch) {
                open.remove(&header.producer_id);
            }
            continue;
        }
        let hidden = upto == ReadLimit::LastStable
            && header.is_transactional()
            && open.contains(&header.producer_id);
        if !hidden {
            found.kept.push(batch);
        }
    }
    Ok(found)
}

fn range(batch: &Batch) -> (i64, i64) {
    (batch.header.base_offset, batch.header.last_offset())
}

/// The batches that hold acquired records, one after the other as they stand in the log.
fn only(kept: &[Batch], acquired: &[AcquiredRange]) -> Bytes {
    let holds = |batch: &&Batch| {
        let (first, last) = range(batch);
        acquired.iter().any(|a| a.first <= last && a.last >= first)
    };
    let parts: Vec<&Batch> = kept.iter().filter(holds).collect();
    if let [one] = parts[..] {
        return one.bytes.clone();
    }
    let all: Vec<u8> = parts
        .iter()
        .flat_map(|batch| batch.bytes.iter().copied())
        .collect();
    Bytes::from(all)
}

/// Whether a batch of a marker says that a transaction was aborted.
fn is_abort(batch: &Batch) -> bool {
    let marker = records(batch).ok().and_then(|mut all| all.next()?.ok());
    let marker = marker.as_ref().and_then(ControlRecord::parse);
    matches!(marker, Some(ControlRecord::Abort { .. }))
}
