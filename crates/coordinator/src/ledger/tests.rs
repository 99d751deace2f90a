//! What people do to a group, and what the ledger makes of it; then the same by dice against a model.

use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use catchword_wire::messages::{OffsetCommitRequest, OffsetDeleteRequest};

use super::*;
use crate::record::headers::Cause;
use crate::{
    BookmarkMove, Call, Client, Context, Effect, GroupConfig, GroupShard, MoveOffsets, Moved,
    Output, Records, Reply, ReplyTo,
};

pub(super) const BOOK: Uuid = Uuid([1; 16]);
pub(super) const OTHER_EDITION: Uuid = Uuid([2; 16]);

/// A shard and the log that its records went to.
pub(super) struct World {
    pub(super) shard: GroupShard,
    pub(super) log: Vec<(i64, Record)>,
    pub(super) now_ms: i64,
}

impl World {
    pub(super) fn new() -> World {
        World {
            shard: GroupShard::new(GroupConfig::default(), 1),
            log: Vec::new(),
            now_ms: 1000,
        }
    }

    pub(super) fn call(&mut self, client: &str, call: Call) -> Reply {
        self.now_ms += 1;
        let client = Client {
            client_id: Str::copy(client),
            client_host: "/10.0.0.7".into(),
            principal: Str::EMPTY,
        };
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version: 9,
        };
        let mut out = Output::default();
        self.shard.step(&ctx, ReplyTo(1), call, &mut out);
        let records = std::mem::take(&mut out.records);
        self.append(records);
        let reply = out.effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { reply, .. } => Some(reply),
            _ => None,
        });
        reply.unwrap()
    }

    fn append(&mut self, records: Records) {
        let next = |log: &[(i64, Record)]| log.last().map_or(0, |(_, last)| last.offset + 1);
        let batch = next(&self.log);
        for record in records {
            let record = Record {
                offset: next(&self.log),
                timestamp: self.now_ms,
                key: Some(record.key),
                value: record.value,
                headers: record.headers.to_vec(),
            };
            self.log.push((batch, record));
        }
    }

    pub(super) fn commit(&mut self, client: &str, group: &str, places: &[(i32, i64)]) {
        let partition = |(index, offset): &(i32, i64)| OffsetCommitRequestPartition {
            partition_index: *index,
            committed_offset: *offset,
            ..Default::default()
        };
        let request = OffsetCommitRequest {
            group_id: Str::copy(group),
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "t".into(),
                topic_id: BOOK,
                partitions: places.iter().map(partition).collect(),
            }],
            ..Default::default()
        };
        self.call(client, Call::OffsetCommit(request));
    }

    /// The state is made anew from a snapshot of it.
    fn restart(&mut self) {
        let records = self.shard.snapshot_records();
        self.shard = GroupShard::new(GroupConfig::default(), 2);
        for record in records {
            let (key, value) = (&record.key, record.value.as_deref());
            let replayed = self.shard.replay(0, key, value, &record.headers);
            replayed.unwrap();
        }
    }

    pub(super) fn delete(&mut self, group: &str) {
        self.call("admin", Call::DeleteGroup(Str::copy(group)));
    }

    pub(super) fn ledger(&self, group: &str) -> Finished {
        self.ledger_at(group, i64::MAX)
    }

    pub(super) fn ledger_at(&self, group: &str, until_ms: i64) -> Finished {
        let limits = Limits {
            until_ms,
            ..Limits::default()
        };
        let mut ledger = Ledger::new(17, Str::copy(group), limits);
        for (batch, record) in &self.log {
            ledger.note(*batch, record);
        }
        ledger.finish()
    }

    /// Carries a plan out, as a broker does.
    fn write(&mut self, group: &str, of: ChangeId, plan: &Plan, force: bool) -> Moved {
        let moves = plan.writes(force).map(|step| BookmarkMove {
            topic: step.topic.clone(),
            partition: step.partition,
            expected: step.now.as_ref().map(|place| place.offset),
            then: step.then.clone(),
        });
        let call = MoveOffsets {
            group_id: Str::copy(group),
            cause: Cause::Undo,
            of: Some(of.to_string()),
            live: false,
            moves: moves.collect(),
        };
        match self.call("catchword", Call::MoveOffsets(call)) {
            Reply::MoveOffsets(moved) => moved,
            other => panic!("{other:?}"),
        }
    }

    fn undo_last(&mut self, group: &str) -> Moved {
        let now = self.ledger(group);
        let last = now.meant.last().unwrap().clone();
        let plan = plan_undo(&last, &now.places, |_| Some(BOOK));
        self.write(group, last.id, &plan, false)
    }

    fn offsets(&self, group: &str) -> Vec<(i32, i64)> {
        let places = self.ledger(group).places;
        let pairs = places.iter().map(|((_, p), place)| (*p, place.offset));
        pairs.collect()
    }
}

fn kinds(found: &Finished) -> Vec<&'static str> {
    found.meant.iter().map(|c| c.kind.name()).collect()
}

#[test]
fn a_wrong_reset_is_one_change_and_undone_as_one() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500), (1, 700)]);
    w.commit("reader", "g", &[(0, 510)]);
    w.commit("adminclient-1", "g", &[(0, 0), (1, 0)]);
    w.commit("adminclient-1", "other", &[(0, 9)]);
    let found = w.ledger("g");
    assert_eq!(kinds(&found), ["reset"]);
    assert_eq!(found.commits.len(), 2);
    let reset = &found.meant[0];
    assert_eq!(reset.id.to_string(), "17-3");
    assert_eq!(
        (&*reset.who.client, &*reset.who.host),
        ("adminclient-1", "/10.0.0.7")
    );
    let moves = reset.moves.iter();
    let offset = |place: &Option<Place>| place.as_ref().map(|place| place.offset);
    let moves: Vec<_> = moves
        .map(|m| (m.partition, offset(&m.from), offset(&m.to)))
        .collect();
    assert_eq!(moves, [(0, Some(510), Some(0)), (1, Some(700), Some(0))]);
    assert_eq!(w.undo_last("g"), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 510), (1, 700)]);
    assert_eq!(w.offsets("other"), [(0, 9)]);
}

#[test]
fn an_undo_says_what_it_undid_and_can_itself_be_undone() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500)]);
    w.commit("adminclient-1", "g", &[(0, 0), (1, 3)]);
    let id = w.ledger("g").meant[0].id;
    assert_eq!(w.undo_last("g"), Moved::Done);
    // What was nowhere is nowhere again.
    assert_eq!(w.offsets("g"), [(0, 500)]);
    assert_eq!(w.ledger("g").meant.last().unwrap().of, Some(id));
    assert_eq!(w.undo_last("g"), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 0), (1, 3)]);
    assert_eq!(kinds(&w.ledger("g")), ["reset", "undo", "undo"]);
}

#[test]
fn a_deleted_group_is_in_the_trash_and_comes_back() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500), (1, 700)]);
    w.delete("g");
    let found = w.ledger("g");
    assert!(found.places.is_empty());
    assert_eq!(kinds(&found), ["group-delete"]);
    assert!(found.meant[0].removes_group);
    assert_eq!(found.gone.len(), 2);
    let plan = plan_restore(&found, 0, |_| Some(BOOK));
    assert_eq!(w.write("g", found.meant[0].id, &plan, false), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 500), (1, 700)]);
    assert!(w.ledger("g").gone.is_empty());
}

#[test]
fn what_expired_comes_back_and_its_clock_begins_anew() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500)]);
    let week = 7 * 24 * 3600 * 1000;
    w.now_ms += week;
    let mut out = Output::default();
    w.shard.expire_offsets(w.now_ms, &mut out);
    w.append(out.records);
    assert_eq!(kinds(&w.ledger("g")), ["expire"]);
    assert_eq!(w.undo_last("g"), Moved::Done);
    let mut out = Output::default();
    w.shard.expire_offsets(w.now_ms + week - 1, &mut out);
    assert!(out.records.is_empty(), "it must not expire at once again");
    assert_eq!(w.offsets("g"), [(0, 500)]);
}

#[test]
fn another_edition_of_a_topic_never_gets_old_bookmarks() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500)]);
    let mut out = Output::default();
    w.shard.topics_deleted(&[("t".into(), BOOK)], &mut out);
    w.append(out.records);
    let found = w.ledger("g");
    assert_eq!(kinds(&found), ["topic-delete"]);
    for (topic, obstacle) in [
        (None, Obstacle::NoTopic),
        (Some(OTHER_EDITION), Obstacle::Recreated),
    ] {
        let plan = plan_restore(&found, 0, |_| topic);
        assert_eq!(plan.count(obstacle), 1);
        assert_eq!(plan.writes(true).count(), 0);
        let plan = plan_undo(&found.meant[0], &found.places, |_| topic);
        assert_eq!(plan.count(obstacle), 1);
        assert_eq!(plan.writes(true).count(), 0);
    }
}

#[test]
fn what_moved_on_is_not_overwritten_unless_forced() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500), (1, 700)]);
    w.commit("adminclient-1", "g", &[(0, 0), (1, 0)]);
    w.commit("reader", "g", &[(0, 30)]);
    let found = w.ledger("g");
    let reset = found.meant[0].clone();
    let plan = plan_undo(&reset, &found.places, |_| Some(BOOK));
    assert_eq!(plan.count(Obstacle::MovedOn), 1);
    assert_eq!(plan.writes(false).count(), 1);
    assert_eq!(w.write("g", reset.id, &plan, true), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 500), (1, 700)]);
}

#[test]
fn a_plan_that_was_overtaken_changes_nothing_at_all() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500), (1, 700)]);
    w.commit("adminclient-1", "g", &[(0, 0), (1, 0)]);
    let found = w.ledger("g");
    let plan = plan_undo(&found.meant[0], &found.places, |_| Some(BOOK));
    w.commit("reader", "g", &[(1, 5)]);
    let moved = w.write("g", found.meant[0].id, &plan, false);
    assert_eq!(moved, Moved::Elsewhere(vec![("t".into(), 1)]));
    assert_eq!(w.offsets("g"), [(0, 0), (1, 5)]);
}

#[test]
fn single_offsets_that_were_deleted_are_a_change_of_their_own() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500), (1, 700)]);
    let request = OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "t".into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index: 1 }],
        }],
    };
    w.call("admin", Call::OffsetDelete(request));
    assert_eq!(kinds(&w.ledger("g")), ["offset-delete"]);
    assert_eq!(w.undo_last("g"), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 500), (1, 700)]);
}

#[test]
fn records_of_apache_kafka_are_judged_by_what_they_do() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500)]);
    w.commit("reader", "g", &[(0, 20)]);
    w.delete("g");
    for (_, record) in &mut w.log {
        record.headers.clear();
    }
    assert_eq!(kinds(&w.ledger("g")), ["step-back", "removed"]);
}

#[test]
fn the_group_at_any_past_time() {
    let mut w = World::new();
    let mut expected = Vec::new();
    for offset in 0..5 {
        w.commit("reader", "g", &[(0, offset)]);
        expected.push((w.now_ms, offset));
    }
    w.delete("g");
    for (at, offset) in expected {
        let places = w.ledger_at("g", at).places;
        assert_eq!(places.values().next().unwrap().offset, offset);
    }
    assert!(w.ledger_at("g", 0).places.is_empty());
    assert!(w.ledger("g").places.is_empty());
}

#[test]
fn memory_is_bounded_and_the_newest_stay() {
    let mut w = World::new();
    for offset in 0..50 {
        w.commit("reader", "g", &[(0, 100 + offset)]);
        w.commit("adminclient-1", "g", &[(0, 0)]);
    }
    let limits = Limits {
        commits: 3,
        meant_moves: 5,
        ..Limits::default()
    };
    let mut ledger = Ledger::new(0, "g".into(), limits);
    w.log
        .iter()
        .for_each(|(batch, record)| ledger.note(*batch, record));
    let found = ledger.finish();
    assert!(found.commits.len() <= 3 && found.meant.len() == 5);
    assert_eq!(found.meant.last().unwrap().id.offset, 99);
}

#[test]
fn a_reset_tells_itself_where_the_bookmark_was_when_history_no_longer_does() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500)]);
    w.commit("adminclient-1", "g", &[(0, 900), (1, 3)]);
    w.log.remove(0);
    let found = w.ledger("g");
    assert_eq!(kinds(&found), ["reset"]);
    assert_eq!(w.undo_last("g"), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 500)]);
    w.delete("g");
    let removed = w.log.len() - 1;
    w.log.drain(..removed - 1);
    assert_eq!(w.ledger("g").gone.len(), 1, "a tombstone tells it as well");
    assert_eq!(w.undo_last("g"), Moved::Done);
    assert_eq!(w.offsets("g"), [(0, 500)]);
}

#[test]
fn a_bookmark_is_not_removed_because_nobody_knows_where_it_was() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500), (1, 700)]);
    w.commit("adminclient-1", "g", &[(0, 0), (1, 0)]);
    // As versions wrote it that did not say, and what it replaced in partition 0 was compacted away.
    for (_, record) in &mut w.log {
        record.headers.retain(|(name, _)| name != "cw.from");
    }
    w.log.remove(0);
    let found = w.ledger("g");
    let plan = plan_undo(&found.meant[0], &found.places, |_| Some(BOOK));
    assert_eq!(plan.count(Obstacle::Forgotten), 1);
    let written: Vec<_> = plan.writes(true).map(|step| step.partition).collect();
    assert_eq!(written, [1], "forced or not");
}

#[test]
fn where_records_were_lost_nothing_is_said_of_where_a_bookmark_was() {
    let mut w = World::new();
    w.commit("reader", "g", &[(0, 500)]);
    w.commit("adminclient-1", "g", &[(0, 0)]);
    w.commit("adminclient-2", "g", &[(0, 7)]);
    let headers = &mut w.log[1].1.headers;
    headers.retain(|(name, _)| name != "cw.from");
    headers.push(("cw.from".into(), Some("unknown".into())));
    let found = w.ledger("g");
    let step = &found.meant[0].moves[0];
    assert!(step.lost_from && step.from.is_none());
    let plan = plan_undo(&found.meant[0], &found.places, |_| Some(BOOK));
    assert_eq!(plan.count(Obstacle::Forgotten), 1);
    let next = &found.meant[1].moves[0];
    assert_eq!(next.from.as_ref().map(|place| place.offset), Some(0));
}

#[test]
fn a_consumer_without_a_group_that_reads_on_leaves_no_mark_and_a_restart_does_not_change_that() {
    let mut w = World::new();
    let marks = |w: &World| {
        let marked = w.log.iter().filter(|(_, record)| is_marked(record));
        marked.map(|(_, record)| record.offset).collect::<Vec<_>>()
    };
    w.commit("reader", "g", &[(0, 1)]);
    w.commit("reader", "g", &[(0, 2)]);
    w.restart();
    w.commit("reader", "g", &[(0, 3)]);
    assert_eq!(marks(&w), [0], "its first alone");
    w.commit("reader", "g", &[(0, 1)]);
    w.commit("adminclient-1", "g", &[(0, 9)]);
    assert_eq!(marks(&w), [0, 3, 4], "a step back, and somebody else");
    assert!(w.log[4].1.headers.iter().any(|(name, _)| name == "cw.from"));
}

/// Any sequence of changes, undone one after the other, ends where it began; and the ledger says at every moment what
/// the coordinator says.
#[test]
fn by_dice_the_ledger_agrees_with_the_coordinator_and_undo_is_exact() {
    let mut state = 7u64;
    let mut dice = move |sides: u64| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) % sides
    };
    for _ in 0..200 {
        let mut w = World::new();
        w.commit("reader", "g", &[(0, 100), (1, 200)]);
        let mut before = Vec::new();
        for round in 0..8 {
            let places = w.ledger("g").places;
            match dice(4) {
                0 => w.delete("g"),
                1 => w.commit("adminclient-1", "g", &[(dice(4) as i32, dice(50) as i64)]),
                2 => w.commit("adminclient-2", "g", &[(0, dice(50) as i64), (3, 7)]),
                _ => w.commit("reader", "other", &[(0, dice(50) as i64)]),
            }
            let found = w.ledger("g");
            let is_new = found.meant.last().is_some_and(|c| c.at_ms == w.now_ms);
            if is_new {
                before.push((found.meant.last().unwrap().id, places));
            } else if found.commits.last().is_some_and(|c| c.at_ms == w.now_ms) {
                // A plain commit moves on: what came before it cannot be taken back exactly.
                before.clear();
            }
            let mut dumped = World::new();
            dumped.append(w.shard.dump_records());
            assert_eq!(dumped.offsets("g"), w.offsets("g"), "round {round}");
        }
        for (id, places) in before.into_iter().rev() {
            let now = w.ledger("g");
            let change = now.change(id).unwrap();
            let plan = plan_undo(change, &now.places, |_| Some(BOOK));
            assert_eq!(plan.count(Obstacle::MovedOn), 0);
            assert_eq!(w.write("g", id, &plan, false), Moved::Done);
            assert_eq!(w.ledger("g").places, places);
        }
    }
}
