//! Offsets of transactions that have not ended, in a log and in snapshots of it.

use catchword_coordinator::{CoordinatorRecord, Marker, ProducerEpoch, TxnOffsetCommitCall};
use catchword_log::Verification;
use catchword_wire::messages::TxnOffsetCommitRequest;
use catchword_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};

use super::*;
use crate::partition::Partition;
use crate::shards::write::{self, Writes};

/// A shard and its partition.
struct Place {
    machine: GroupShard,
    partition: Partition,
}

impl Place {
    fn new() -> Place {
        let log = memory_log();
        Place {
            machine: empty(),
            partition: Partition::new(tp(), log, 0),
        }
    }

    fn log(&self) -> &dyn PartitionLog {
        &*self.partition.log
    }

    fn call(&mut self, producer: i64, call: Call) {
        let client = Client::default();
        let ctx = Context {
            now_ms: 1_000_000,
            client: &client,
            api_version: 2,
        };
        let mut out = Output::default();
        self.machine.step(&ctx, ReplyTo(0), call, &mut out);
        let guard = match self.log().verify(producer, 0, -1, true).unwrap() {
            Verification::Ask(guard) => Some(guard),
            Verification::Ongoing => None,
        };
        let mut writes = Writes::default();
        writes.gather(&mut out, guard);
        writes.append(&self.partition).unwrap();
    }

    fn commit(&mut self, committed_offset: i64) {
        let call = Call::OffsetCommit(OffsetCommitRequest {
            group_id: "g".into(),
            topics: vec![OffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..OffsetCommitRequest::default()
        });
        self.call(0, call);
    }

    fn commit_in_transaction(&mut self, producer_id: i64, committed_offset: i64) {
        let request = TxnOffsetCommitRequest {
            group_id: "g".into(),
            producer_id,
            generation_id: -1,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: "t".into(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    committed_offset,
                    ..Default::default()
                }],
            }],
            ..TxnOffsetCommitRequest::default()
        };
        let topic_ids = vec![Uuid::ZERO];
        let call = Call::TxnOffsetCommit(TxnOffsetCommitCall { request, topic_ids });
        self.call(producer_id, call);
    }

    fn end(&mut self, id: i64, commit: bool) {
        let marker = Marker {
            producer: ProducerEpoch { id, epoch: 1 },
            commit,
            coordinator_epoch: 0,
            transaction_version: 2,
        };
        // As `admit` does it.
        self.partition
            .append_marker(&write::of_log(&marker, 1_000_000))
            .unwrap();
        self.call(0, Call::EndTransaction(marker));
    }

    /// Whether a start would find what is here, down to what waits.
    fn check(&self) {
        let (found, _) = load::load(&tp(), self.log(), i64::MAX, empty).unwrap();
        let all = |machine: &GroupShard| {
            (
                machine.snapshot_records(),
                machine.dump_pending(true),
                machine.dump_pending(false),
            )
        };
        let without_headers = |(producer, mut record): (ProducerEpoch, CoordinatorRecord)| {
            record.headers = Default::default();
            (producer, record)
        };
        let (records, overtaken, waiting) = all(&found);
        let expected = all(&self.machine);
        assert_eq!(records, expected.0);
        let plain = |all: Vec<_>| all.into_iter().map(without_headers).collect::<Vec<_>>();
        assert_eq!(plain(overtaken), plain(expected.1));
        assert_eq!(plain(waiting), plain(expected.2));
    }
}

#[test]
fn what_waits_for_its_transaction_waits_after_a_start_too_with_a_snapshot_or_without() {
    for snapshot in [false, true] {
        for first_commits in [true, false] {
            let mut place = Place::new();
            place.commit_in_transaction(7, 10);
            place.commit(5);
            place.commit_in_transaction(8, 20);
            place.commit_in_transaction(9, 30);
            place.check();
            flush(place.log());
            if snapshot {
                snapshot_now(place.log());
            }
            place.check();
            // What was committed outside came later.
            place.end(7, first_commits);
            place.check();
            assert_eq!(offset(&place), 5);
            // The last in the log counts, whichever ends first.
            place.end(9, first_commits);
            place.check();
            place.end(8, true);
            place.check();
            assert_eq!(offset(&place), if first_commits { 30 } else { 20 });
            let (_, loaded) = start(place.log());
            assert_eq!(loaded.snapshot_end > 0, snapshot);
        }
    }
}

/// The bookmark that a start would find, out of its record: version, then offset.
fn offset(place: &Place) -> i64 {
    let (machine, _) = load::load(&tp(), place.log(), i64::MAX, empty).unwrap();
    let records = machine.dump_records();
    assert_eq!(records.len(), 1);
    let value = records.iter().next().unwrap().value.unwrap();
    i64::from_be_bytes(value[2..10].try_into().unwrap())
}
