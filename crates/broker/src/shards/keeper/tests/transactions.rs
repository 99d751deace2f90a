//! The transaction coordinator's state, by snapshots of `__transaction_state` and the log since.

use std::collections::BTreeMap;

use catchword_coordinator::{
    EPOCH_BUMP, InitCall, PartitionsCall, ProducerEpoch, TransactionCall, TransactionConfig,
    TransactionEffect, TransactionOutput, TransactionReply, TransactionShard,
};
use catchword_wire::messages::{EndTxnRequest, InitProducerIdRequest};

use super::*;

/// How long a transactional id lives here, so that some are forgotten.
const EXPIRATION_MS: i64 = 400;

fn config() -> TransactionConfig {
    TransactionConfig {
        transactional_id_expiration_ms: EXPIRATION_MS,
        ..TransactionConfig::default()
    }
}

/// A shard that decides, and appends what it decides.
struct Writer {
    machine: TransactionShard,
    now_ms: i64,
    /// The producer of each transactional id that has one.
    producers: BTreeMap<Str, ProducerEpoch>,
    /// Decided; their markers are not written yet.
    ends: Vec<(Str, ProducerEpoch)>,
}

impl Writer {
    fn new() -> Writer {
        Writer {
            machine: TransactionShard::new(config()),
            now_ms: 1_000_000,
            producers: BTreeMap::new(),
            ends: Vec::new(),
        }
    }

    fn step(&mut self, log: &dyn PartitionLog, dice: &mut Dice) {
        self.now_ms += 10;
        let id = Str::from(format!("x{}", dice.below(4)));
        let producer = self.producers.get(&id).copied();
        let mut out = TransactionOutput::default();
        let call = match (dice.below(10), producer) {
            (0, _) => return self.expire(log),
            (1..5, _) if !self.ends.is_empty() => {
                let (id, producer) = self.ends.swap_remove(0);
                self.machine
                    .markers_written(self.now_ms, &id, producer, &mut out);
                return self.take(log, &id, out);
            }
            (5, _) | (_, None) => TransactionCall::InitProducerId(InitCall {
                request: InitProducerIdRequest {
                    transactional_id: Some(id.clone()),
                    transaction_timeout_ms: 60_000,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..Default::default()
                },
                spare_id: self.now_ms,
            }),
            (6..8, Some(producer)) => TransactionCall::EndTxn(EndTxnRequest {
                transactional_id: id.clone(),
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                committed: dice.below(2) == 0,
            }),
            (_, Some(producer)) => TransactionCall::AddPartitions(PartitionsCall {
                transactional_id: id.clone(),
                producer,
                partitions: vec![("t".into(), dice.below(5) as i32)],
                version: EPOCH_BUMP,
            }),
        };
        let client = Client::default();
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version: 5,
        };
        self.machine.step(&ctx, ReplyTo(0), call, &mut out);
        self.take(log, &id, out);
    }

    fn expire(&mut self, log: &dyn PartitionLog) {
        let mut out = TransactionOutput::default();
        self.machine.expire(self.now_ms, &mut out);
        append(log, 0, self.now_ms, &out.records);
    }

    /// Appends what was decided, and remembers what was answered.
    fn take(&mut self, log: &dyn PartitionLog, id: &Str, out: TransactionOutput) {
        append(log, 0, self.now_ms, &out.records);
        for effect in out.effects {
            let (producer, error) = match effect {
                TransactionEffect::WriteMarkers(end) => {
                    self.ends.push((end.transactional_id, end.marker.producer));
                    continue;
                }
                TransactionEffect::Reply { reply, .. } => match reply {
                    TransactionReply::InitProducerId(r) => {
                        ((r.producer_id, r.producer_epoch), r.error_code)
                    }
                    TransactionReply::EndTxn(r) => {
                        ((r.producer_id, r.producer_epoch), r.error_code)
                    }
                    _ => continue,
                },
                TransactionEffect::WantProducerId => continue,
            };
            let (id_of_producer, epoch) = producer;
            if error == 0 && id_of_producer >= 0 {
                let producer = ProducerEpoch {
                    id: id_of_producer,
                    epoch,
                };
                self.producers.insert(id.clone(), producer);
            }
        }
    }
}

fn start(log: &dyn PartitionLog) -> (Records, load::Loaded) {
    let empty = || TransactionShard::new(config());
    let (machine, loaded) = load::load(&tp(), log, i64::MAX, empty).unwrap();
    (machine.dump_records(), loaded)
}

fn snapshot_now(log: &dyn PartitionLog) {
    snapshot_of::<TransactionShard>(log, &config());
}

#[test]
fn a_snapshot_and_the_log_since_give_every_transactional_id_as_the_whole_log_does() {
    let mut seen = 0;
    for seed in 1..40 {
        let mut dice = Dice(seed);
        let log = memory_log();
        let mut writer = Writer::new();
        for n in 0..200 {
            writer.step(&*log, &mut dice);
            if dice.below(20) == 0 && log.offsets().log_end > 0 {
                snapshot_now(&*log);
            }
            if n % 10 == 0 {
                let (found, _) = start(&*log);
                assert_eq!(
                    found,
                    start(&*without_snapshots(&*log)).0,
                    "seed {seed}, step {n}"
                );
                assert_eq!(
                    found,
                    writer.machine.dump_records(),
                    "seed {seed}, step {n}"
                );
                seen += found.len();
            }
        }
        let (_, loaded) = start(&*log);
        assert!(loaded.snapshot_end > 0, "seed {seed}: no snapshot was used");
        let read = loaded.tail.records as i64 + loaded.snapshot_end;
        assert_eq!(read, log.offsets().log_end, "seed {seed}");
    }
    assert!(seen > 0, "there never was a transactional id");
}

#[test]
fn what_was_decided_before_a_snapshot_is_carried_out_after_a_start_from_it() {
    let log = memory_log();
    let (mut writer, mut dice) = (Writer::new(), Dice(3));
    while writer.ends.is_empty() {
        writer.step(&*log, &mut dice);
    }
    snapshot_now(&*log);
    log.truncate_prefix(log.offsets().log_end).unwrap();
    let empty = || TransactionShard::new(config());
    let (mut machine, _) = load::load(&tp(), &*log, i64::MAX, empty).unwrap();
    let mut out = TransactionOutput::default();
    machine.loaded(&mut out);
    let ends = out.effects.into_iter().map(|effect| match effect {
        TransactionEffect::WriteMarkers(end) => (end.transactional_id, end.marker.producer),
        other => panic!("not a marker: {other:?}"),
    });
    assert_eq!(ends.collect::<Vec<_>>(), writer.ends);
}

#[test]
fn a_snapshot_of_groups_is_none_of_transactions() {
    let log = memory_log();
    let (mut writer, mut dice) = (Writer::new(), Dice(3));
    (0..50).for_each(|_| writer.step(&*log, &mut dice));
    let of = Of {
        topic_id: ID,
        end: log.offsets().log_end,
        leader_epoch: 0,
    };
    let none = snapshot::encode(of, &[]).unwrap();
    log.put_side_file(GroupShard::SNAPSHOT, of.end, &none)
        .unwrap();
    let (found, loaded) = start(&*log);
    assert_eq!(
        (found, loaded.snapshot_end),
        (writer.machine.dump_records(), 0)
    );
}
