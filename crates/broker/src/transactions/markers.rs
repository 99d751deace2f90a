//! Carries out what transaction coordinators have decided: markers in every partition, then the word that they are there.
//!
//! Invariant: for one transactional id there is one writer of markers at a time, and it asks before it writes whether the
//! decision still waits for them. A marker that came late could end a transaction that began after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catchword_coordinator::{EndOfTransaction, Marker, TransactionEffect, TransactionShard};
use catchword_log::AppendError;
use catchword_wire::{ErrorCode, Str};
use tokio::sync::mpsc;
use tracing::warn;

use crate::broker::Broker;
use crate::catalog::OFFSETS_TOPIC;
use crate::clock;
use crate::flush::FlushAll;
use crate::outcome::blocking;
use crate::shards::{Outside, of_log};

/// How long to wait before a marker that could not be written is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

type Chore = (usize, TransactionEffect);

/// What shards have put out and nobody has done yet.
pub(crate) struct Chores {
    sender: mpsc::UnboundedSender<Chore>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Chore>>>,
    /// Whose markers are being written; true if they were asked for again meanwhile.
    busy: Mutex<HashMap<Str, bool>>,
}

impl Chores {
    pub(crate) fn new() -> Arc<Chores> {
        let (sender, receiver) = mpsc::unbounded_channel();
        Arc::new(Chores {
            sender,
            receiver: Mutex::new(Some(receiver)),
            busy: Mutex::default(),
        })
    }

    fn busy(&self) -> std::sync::MutexGuard<'_, HashMap<Str, bool>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what comes, until the broker stops.
    pub(crate) async fn run(self: Arc<Chores>, broker: Arc<Broker>) {
        let taken = || self.receiver.lock().ok()?.take();
        let Some(mut receiver) = taken() else {
            return;
        };
        while let Some((shard, effect)) = receiver.recv().await {
            match effect {
                TransactionEffect::WriteMarkers(end) => {
                    let mut busy = self.busy();
                    match busy.get_mut(&end.transactional_id) {
                        Some(again) => *again = true,
                        None => {
                            busy.insert(end.transactional_id.clone(), false);
                            tokio::spawn(self.clone().write(broker.clone(), end));
                        }
                    }
                }
                TransactionEffect::WantProducerId => {
                    tokio::spawn(give_producer_id(broker.clone(), shard));
                }
                TransactionEffect::Reply { .. } => {}
            }
        }
    }

    async fn write(self: Arc<Chores>, broker: Arc<Broker>, mut end: EndOfTransaction) {
        let id = end.transactional_id.clone();
        let Some(shard) = broker.transactions.shard(&id) else {
            self.busy().remove(&id);
            return;
        };
        end.marker.coordinator_epoch = shard.partition().leader_epoch;
        let mut left = std::mem::take(&mut end.partitions);
        loop {
            while !left.is_empty() {
                left = write_all(&broker, end.marker, left).await;
                if !left.is_empty() {
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
            shard.with(|active| {
                let (machine, out) = (&mut active.machine, &mut active.out);
                machine.markers_written(clock::now_ms(), &id, end.marker.producer, out);
            });
            // Asked for again: the shard was read anew, and may not have heard the word just given. What it waits for now
            // is looked up, since it may be another transaction's end.
            let mut busy = self.busy();
            if !busy.get(&id).copied().unwrap_or(false) {
                busy.remove(&id);
                return;
            }
            busy.insert(id.clone(), false);
            drop(busy);
            let mut wanted = None;
            shard.with(|active| wanted = active.machine.wanted_end(&id));
            if let Some(mut wanted) = wanted {
                left = std::mem::take(&mut wanted.partitions);
                wanted.marker.coordinator_epoch = end.marker.coordinator_epoch;
                end = wanted;
            }
        }
    }
}

impl Outside<TransactionShard> for Chores {
    fn perform(&self, shard: usize, effect: TransactionEffect) {
        // Nobody receives any more once the broker has stopped: then the next start finds what was decided.
        let _ = self.sender.send((shard, effect));
    }
}

async fn give_producer_id(broker: Arc<Broker>, index: usize) {
    let catalog = broker.catalog.clone();
    match blocking(move || catalog.next_producer_id()).await {
        Some(Ok(id)) => {
            if let Some(shard) = broker.transactions.shards().get(index) {
                shard.with(|active| active.machine.give_producer_id(id));
            }
        }
        Some(Err(error)) => warn!("no producer id could be given out: {error}"),
        None => {}
    }
}

/// Writes a marker into each partition and waits until all are durable. Returns the partitions where that failed.
async fn write_all(
    broker: &Arc<Broker>,
    marker: Marker,
    partitions: Vec<(Str, i32)>,
) -> Vec<(Str, i32)> {
    let mut failed = Vec::new();
    let mut flush = FlushAll::default();
    let mut offsets = Vec::new();
    for (topic, index) in partitions {
        if topic == OFFSETS_TOPIC {
            offsets.push((topic, index));
            continue;
        }
        let found = broker.catalog.topic(&topic);
        let found = found.and_then(|found| found.partition(index).cloned());
        // A partition that is gone has nothing left to end.
        let Some(partition) = found.filter(|partition| !partition.is_deleted()) else {
            continue;
        };
        match partition.append_marker(&of_log(&marker, clock::now_ms())) {
            Ok(appended) => flush.add(partition, appended.last_offset + 1),
            Err(
                error @ (AppendError::InvalidProducerEpoch { .. }
                | AppendError::TransactionCoordinatorFenced { .. }),
            ) => {
                // Somebody who knew better ended it before.
                warn!("a marker was not needed any more: {error}");
            }
            Err(error) => {
                warn!("a marker could not be written, it is tried again: {error}");
                failed.push((topic, index));
            }
        }
    }
    for (topic, index) in offsets {
        match broker.groups.end_transaction(index, marker).await {
            ErrorCode::None => {}
            error @ (ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced) => {
                // Somebody who knew better ended it before.
                warn!("{topic}-{index}: a marker was not needed any more: {error:?}");
            }
            _ => {
                failed.push((topic, index));
                continue;
            }
        }
        // Also where commits need not be durable: what waits for a marker that was lost would wait for ever.
        let found = broker.catalog.topic(&topic);
        if let Some(partition) = found.and_then(|found| found.partition(index).cloned()) {
            let end = partition.log.offsets().log_end;
            flush.add(partition, end);
        }
    }
    if !flush.is_empty() {
        for (partition, why) in flush.start().await {
            warn!("{}: a marker did not become durable: {why}", partition.tp);
            let topic = Str::copy(&partition.tp.topic);
            failed.push((topic, partition.tp.partition));
        }
    }
    failed
}
