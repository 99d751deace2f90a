//! Offsets committed within transactions: T1 to T5. T6 is the broker's to keep, and tested there.

use catchword_coordinator::record::headers::Cause;
use catchword_coordinator::{
    BookmarkMove, Call, Client, Context, CoordinatorRecord, GroupConfig, GroupShard, Marker,
    MoveOffsets, Moved, Output, ProducerEpoch, Reply, ReplyTo, Transactional, TxnOffsetCommitCall,
    ledger,
};
use catchword_wire::messages::TxnOffsetCommitRequest;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use catchword_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::driver::{
    COMMIT_VERSION, DAY, WEEK, commit, error_of, fetch, join, offset_delete, sync,
};

/// A batch of the log.
#[derive(Clone)]
enum Written {
    Plain(CoordinatorRecord),
    InTransaction(ProducerEpoch, CoordinatorRecord),
    Ended(i64, bool),
}

/// A shard with its log. After every step the log must give the very state that the shard has, whether it is read from its
/// beginning or from a snapshot.
struct Place {
    shard: GroupShard,
    log: Vec<Written>,
    now_ms: i64,
    replies: u64,
}

impl Place {
    fn new() -> Place {
        Place {
            shard: GroupShard::new(GroupConfig::default(), 1),
            log: Vec::new(),
            now_ms: 1_000_000_000,
            replies: 0,
        }
    }

    fn ask(&mut self, api_version: i16, call: Call) -> Reply {
        self.replies += 1;
        let to = ReplyTo(self.replies);
        let client = Client::default();
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version,
        };
        let mut out = Output::default();
        self.shard.step(&ctx, to, call, &mut out);
        let effects = out.effects.iter();
        let reply = effects.filter_map(|effect| match effect {
            catchword_coordinator::Effect::Reply { to: t, reply } if *t == to => {
                Some(reply.clone())
            }
            _ => None,
        });
        let reply = reply.last();
        self.write(out);
        reply.unwrap_or(Reply::EndTransaction(ErrorCode::None))
    }

    fn write(&mut self, out: Output) {
        self.log.extend(out.records.into_iter().map(Written::Plain));
        for write in out.transactional {
            match write {
                Transactional::Records { producer, records } => {
                    let records = records.into_iter();
                    self.log
                        .extend(records.map(|r| Written::InTransaction(producer, r)));
                }
                Transactional::Marker(marker) => {
                    self.log
                        .push(Written::Ended(marker.producer.id, marker.commit));
                }
            }
        }
        let told = |shard: &GroupShard| {
            (
                shard.snapshot_records(),
                shard.dump_pending(true),
                shard.dump_pending(false),
            )
        };
        assert_eq!(
            told(&replayed(&self.log)),
            told(&self.shard),
            "from the log"
        );
        let restored = replayed(&self.snapshot());
        assert_eq!(told(&restored), told(&self.shard), "from a snapshot");
    }

    fn snapshot(&self) -> Vec<Written> {
        let waiting = |overtaken| {
            let all = self.shard.dump_pending(overtaken).into_iter();
            all.map(|(producer, record)| Written::InTransaction(producer, record))
        };
        let plain = self.shard.snapshot_records().into_iter();
        waiting(true)
            .chain(plain.map(Written::Plain))
            .chain(waiting(false))
            .collect()
    }

    fn restart(&mut self) {
        self.shard = replayed(&self.log);
    }

    fn txn_commit(&mut self, producer: i64, offset: i64) -> ErrorCode {
        self.txn_commit_of(txn_commit("g", producer, offset))
    }

    fn txn_commit_of(&mut self, request: TxnOffsetCommitRequest) -> ErrorCode {
        let call = TxnOffsetCommitCall {
            request,
            topic_ids: vec![Uuid::ZERO],
        };
        error_of(&self.ask(5, Call::TxnOffsetCommit(call)))
    }

    fn commit(&mut self, offset: i64) {
        let call = Call::OffsetCommit(commit("g", "", -1, offset));
        assert_eq!(error_of(&self.ask(COMMIT_VERSION, call)), ErrorCode::None);
    }

    fn end(&mut self, producer: i64, commit: bool) {
        let marker = Marker {
            producer: ProducerEpoch {
                id: producer,
                epoch: 1,
            },
            commit,
            coordinator_epoch: 0,
            transaction_version: 2,
        };
        self.ask(0, Call::EndTransaction(marker));
    }

    /// The offset of topic `t`, partition 0, and the error.
    fn fetched(&mut self, require_stable: bool) -> (i64, ErrorCode) {
        let topics = Some(vec![OffsetFetchRequestTopics {
            name: "t".into(),
            partition_indexes: vec![0],
            ..OffsetFetchRequestTopics::default()
        }]);
        let Call::OffsetFetch(mut call) = fetch("g", topics) else {
            unreachable!()
        };
        call.require_stable = require_stable;
        let Reply::OffsetFetch(found) = self.ask(9, Call::OffsetFetch(call)) else {
            panic!("not the answer to a fetch")
        };
        let partition = &found.topics[0].partitions[0];
        let error = ErrorCode::from_code(partition.error_code);
        (partition.committed_offset, error)
    }

    fn committed(&mut self) -> i64 {
        self.fetched(false).0
    }

    fn expire(&mut self, after_ms: i64) {
        self.now_ms += after_ms;
        let mut out = Output::default();
        self.shard.expire_offsets(self.now_ms, &mut out);
        self.write(out);
    }
}

fn replayed(log: &[Written]) -> GroupShard {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    for written in log {
        match written {
            Written::Plain(record) => shard
                .replay(0, &record.key, record.value.as_deref(), &record.headers)
                .unwrap(),
            Written::InTransaction(producer, record) => shard
                .replay_in_transaction(*producer, &record.key, record.value.as_deref())
                .unwrap(),
            Written::Ended(producer, commit) => {
                shard.replay_end_of_transaction(*producer, *commit);
            }
        }
    }
    shard
}

fn txn_commit(group: &str, producer: i64, offset: i64) -> TxnOffsetCommitRequest {
    TxnOffsetCommitRequest {
        transactional_id: "x".into(),
        group_id: Str::copy(group),
        producer_id: producer,
        producer_epoch: 0,
        generation_id: -1,
        topics: vec![TxnOffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![TxnOffsetCommitRequestPartition {
                partition_index: 0,
                committed_offset: offset,
                committed_metadata: Some(Str::EMPTY),
                ..TxnOffsetCommitRequestPartition::default()
            }],
        }],
        ..TxnOffsetCommitRequest::default()
    }
}

#[test]
fn t1_an_offset_counts_once_its_transaction_is_committed_and_never_if_it_is_aborted() {
    let mut place = Place::new();
    assert_eq!(place.txn_commit(7, 10), ErrorCode::None);
    assert_eq!(place.committed(), -1);
    place.end(7, true);
    assert_eq!(place.committed(), 10);
    place.txn_commit(7, 20);
    place.txn_commit(7, 21);
    place.end(7, false);
    assert_eq!(place.committed(), 10);
    place.txn_commit(7, 30);
    place.txn_commit(7, 31);
    place.restart();
    place.end(7, true);
    assert_eq!(place.committed(), 31);
}

#[test]
fn t1_the_record_says_that_a_transaction_moved_the_bookmark() {
    let mut place = Place::new();
    place.txn_commit(7, 10);
    let Some(Written::InTransaction(producer, record)) = place.log.last() else {
        panic!("it is not written within the transaction")
    };
    assert_eq!((producer.id, producer.epoch), (7, 0));
    let (name, value) = &record.headers[0];
    assert_eq!(&name[..], b"cw.cause");
    assert_eq!(value.as_deref(), Some(&b"transaction"[..]));
}

#[test]
fn t2_what_waits_does_not_overwrite_a_bookmark_that_was_put_back_meanwhile() {
    for then in [Some(3), None] {
        let mut place = Place::new();
        place.commit(5);
        place.txn_commit(7, 10);
        let there = |offset| ledger::Place {
            offset,
            leader_epoch: -1,
            metadata: Str::EMPTY,
            topic_id: Uuid::ZERO,
        };
        let call = MoveOffsets {
            group_id: "g".into(),
            cause: Cause::Undo,
            of: None,
            live: false,
            moves: vec![BookmarkMove {
                topic: "t".into(),
                partition: 0,
                expected: Some(5),
                then: then.map(there),
            }],
        };
        let moved = place.ask(0, Call::MoveOffsets(call));
        assert_eq!(moved, Reply::MoveOffsets(Moved::Done));
        place.end(7, true);
        assert_eq!(place.committed(), then.unwrap_or(-1));
    }
}

#[test]
fn t2_a_commit_that_came_later_is_not_overwritten_when_the_transaction_ends() {
    let mut place = Place::new();
    place.txn_commit(7, 10);
    place.commit(5);
    place.end(7, true);
    assert_eq!(place.committed(), 5);
    // Committed again after it, within the next transaction: that is later still.
    place.txn_commit(7, 10);
    place.commit(6);
    place.txn_commit(7, 11);
    place.end(7, true);
    assert_eq!(place.committed(), 11);
}

#[test]
fn t2_of_two_transactions_the_one_that_wrote_last_counts_whichever_ends_first() {
    for first_ends_first in [true, false] {
        let mut place = Place::new();
        place.txn_commit(7, 10);
        place.txn_commit(8, 20);
        let order = if first_ends_first { [7, 8] } else { [8, 7] };
        for producer in order {
            place.end(producer, true);
        }
        assert_eq!(
            place.committed(),
            20,
            "first ends first: {first_ends_first}"
        );
    }
    let mut place = Place::new();
    place.txn_commit(7, 10);
    place.txn_commit(8, 20);
    place.end(8, false);
    place.end(7, true);
    assert_eq!(place.committed(), 10);
}

#[test]
fn t3_only_a_member_that_is_named_is_checked_and_the_groups_state_is_not() {
    let mut place = Place::new();
    let member = "m";
    let named = |generation_id, member_id: &str| TxnOffsetCommitRequest {
        generation_id,
        member_id: Str::copy(member_id),
        ..txn_commit("g", 7, 10)
    };
    assert_eq!(
        place.txn_commit_of(named(0, member)),
        ErrorCode::IllegalGeneration,
        "the group is unknown"
    );
    // Below version 4 a member is let in at once; its group then waits for the leader's assignment.
    place.ask(3, Call::JoinGroup(join("g", "")));
    let mut out = Output::default();
    let key = catchword_coordinator::TimerKey {
        group_id: "g".into(),
        kind: catchword_coordinator::TimerKind::Join,
    };
    place.now_ms += 60_000;
    place.shard.timer(place.now_ms, &key, &mut out);
    let joined = out.effects.iter().find_map(|effect| match effect {
        catchword_coordinator::Effect::Reply {
            reply: Reply::JoinGroup(joined),
            ..
        } => Some(joined.clone()),
        _ => None,
    });
    let joined = joined.expect("the join is over");
    place.write(out);
    let (generation, member) = (joined.generation_id, joined.member_id);
    let check = |place: &mut Place, state: &str| {
        let errors = [
            place.txn_commit_of(named(-1, "")),
            place.txn_commit_of(named(generation, &member)),
            place.txn_commit_of(named(generation - 1, &member)),
            place.txn_commit_of(named(generation, "somebody")),
        ];
        let expected = [
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::IllegalGeneration,
            ErrorCode::UnknownMemberId,
        ];
        assert_eq!(errors, expected, "{state}");
    };
    check(&mut place, "completing the rebalance");
    place.ask(5, Call::SyncGroup(sync("g", &member, generation)));
    check(&mut place, "stable");
    let nowhere = txn_commit("", 7, 10);
    assert_eq!(place.txn_commit_of(nowhere), ErrorCode::InvalidGroupId);
}

#[test]
fn t4_who_asks_for_stable_offsets_is_told_to_wait_while_a_transaction_may_move_them() {
    let mut place = Place::new();
    place.commit(5);
    assert_eq!(place.fetched(true), (5, ErrorCode::None));
    place.txn_commit(7, 10);
    assert_eq!(place.fetched(true), (-1, ErrorCode::UnstableOffsetCommit));
    assert_eq!(place.fetched(false), (5, ErrorCode::None));
    place.restart();
    assert_eq!(place.fetched(true), (-1, ErrorCode::UnstableOffsetCommit));
    place.end(7, false);
    assert_eq!(place.fetched(true), (5, ErrorCode::None));
}

#[test]
fn t5_deleting_an_offset_drops_what_would_have_replaced_it() {
    for has_one in [true, false] {
        let mut place = Place::new();
        if has_one {
            place.commit(5);
        }
        place.txn_commit(7, 10);
        place.ask(0, offset_delete("g", "t", 0));
        place.end(7, true);
        assert_eq!(place.committed(), -1, "had a bookmark: {has_one}");
    }
    let mut place = Place::new();
    place.txn_commit(7, 10);
    let deleted = place.ask(2, Call::DeleteGroup("g".into()));
    assert_eq!(error_of(&deleted), ErrorCode::None);
    place.end(7, true);
    assert_eq!(place.committed(), -1);
    let mut place = Place::new();
    place.txn_commit(7, 10);
    let mut out = Output::default();
    let deleted = [("t".into(), Uuid([1; 16]))];
    place.shard.topics_deleted(&deleted, &mut out);
    place.write(out);
    place.end(7, true);
    assert_eq!(place.committed(), -1);
}

#[test]
fn t5_nothing_expires_that_a_transaction_may_move_nor_a_group_of_which_one_has_offsets() {
    let mut place = Place::new();
    place.commit(5);
    place.txn_commit(7, 10);
    place.expire(WEEK + DAY);
    assert_eq!(place.committed(), 5);
    place.end(7, false);
    place.expire(0);
    assert_eq!(place.committed(), -1);

    place.txn_commit(7, 10);
    place.expire(WEEK + DAY);
    assert_eq!(place.shard.counts().0, 1);
    place.end(7, false);
    place.expire(0);
    assert_eq!(place.shard.counts().0, 0);
}
