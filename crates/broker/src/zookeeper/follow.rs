//! Follows the logs of `__consumer_offsets`: every move of a bookmark, in order, once it is durable and (in a transaction)
//! committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_coordinator::ledger::{Moved, moved};
use catchword_log::{Read, ReadLimit};
use catchword_wire::batch::{records, split};

use crate::broker::Broker;
use crate::catalog::OFFSETS_TOPIC;
use crate::flush::FlushAll;
use crate::partition::Partition;
use crate::plane::transactional::Transactional;

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// How far one log was followed.
#[derive(Default)]
struct Followed {
    next: i64,
    transactional: Transactional,
}

/// See the module.
#[derive(Default)]
pub(super) struct Follower {
    logs: BTreeMap<i32, Followed>,
}

/// What is new in the logs.
#[derive(Default)]
pub(super) struct News {
    /// The moves, with the offset of their record.
    pub(super) moves: Vec<(i64, Moved)>,
    /// There may be more.
    pub(super) more: bool,
}

impl Follower {
    /// Goes on where another stopped, by [`positions`](Follower::positions).
    pub(super) fn from(positions: BTreeMap<i32, i64>) -> Follower {
        let followed = |next| Followed {
            next,
            ..Followed::default()
        };
        let logs = positions.into_iter().map(|(p, next)| (p, followed(next)));
        Follower {
            logs: logs.collect(),
        }
    }

    /// Where to go on so that nothing is missed.
    pub(super) fn positions(&self) -> BTreeMap<i32, i64> {
        let position = |log: &Followed| log.transactional.first_open().unwrap_or(log.next);
        self.logs
            .iter()
            .map(|(p, log)| (*p, position(log)))
            .collect()
    }

    /// Whether a log was followed up to this offset.
    pub(super) fn is_past(&self, partition: i32, end: i64) -> bool {
        self.logs.get(&partition).map_or(0, |log| log.next) >= end
    }

    /// How many records were not followed yet.
    pub(super) fn unread(&self, broker: &Broker) -> i64 {
        let left = |p: &Arc<Partition>| {
            let next = self.logs.get(&p.tp.partition).map_or(0, |log| log.next);
            (p.log.offsets().log_end - next).max(0)
        };
        partitions(broker).iter().map(left).sum()
    }

    /// The next moves: about a chunk of each log that has any. Blocks while it reads.
    ///
    /// # Errors
    /// What cannot be read or made durable, in words.
    pub(super) async fn follow(mut self, broker: &Arc<Broker>) -> Result<(Follower, News), String> {
        let mut behind = Vec::new();
        let mut flush = FlushAll::default();
        for partition in partitions(broker) {
            let followed = self.logs.entry(partition.tp.partition).or_default();
            let offsets = partition.log.offsets();
            // A log that ends before what was mirrored is another one, or a crash took its end.
            if followed.next < offsets.log_start || followed.next > offsets.log_end {
                *followed = Followed {
                    next: offsets.log_start,
                    ..Followed::default()
                };
            }
            if followed.next < offsets.log_end {
                flush.add(partition.clone(), offsets.log_end);
                behind.push((partition, offsets.log_end));
            }
        }
        if behind.is_empty() {
            return Ok((self, News::default()));
        }
        if let Some((partition, why)) = flush.start().await.pop() {
            return Err(format!("{} is not durable: {why}", partition.tp));
        }
        let read = move || {
            let mut news = News::default();
            for (partition, end) in behind {
                let followed = self.logs.entry(partition.tp.partition).or_default();
                let read = read(&partition, followed, &mut news);
                read.map_err(|why| format!("{}: {why}", partition.tp))?;
                news.more |= followed.next < end;
            }
            Ok((self, news))
        };
        let done = crate::outcome::blocking(read).await;
        done.unwrap_or_else(|| Err("the broker stops".into()))
    }
}

fn partitions(broker: &Broker) -> Vec<Arc<Partition>> {
    let topic = broker.catalog.topic(OFFSETS_TOPIC);
    topic.map_or_else(Vec::new, |topic| topic.partitions.clone())
}

fn read(partition: &Partition, followed: &mut Followed, news: &mut News) -> Result<(), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let read = partition
        .log
        .read(followed.next, CHUNK, ReadLimit::LogEnd, true);
    let Read::Now(read) = read else {
        return Err("the log cannot be read at once".into());
    };
    let bytes = read
        .map_err(|e| text(&e))?
        .data
        .read()
        .map_err(|e| text(&e))?;
    for batch in split(bytes) {
        let batch = batch.map_err(|e| text(&e))?;
        // What is compacted away leaves holes; a batch may begin before the position.
        followed.next = followed.next.max(batch.header.next_offset());
        let counted = match batch.header.has_producer_id() {
            true => followed.transactional.pass(batch).map_err(|e| text(&e))?,
            false => vec![batch],
        };
        for batch in counted {
            for record in records(&batch).map_err(|e| text(&e))? {
                let record = record.map_err(|e| text(&e))?;
                news.moves
                    .extend(moved(&record).map(|moved| (record.offset, moved)));
            }
        }
    }
    Ok(())
}
