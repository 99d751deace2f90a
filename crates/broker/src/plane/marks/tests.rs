use catchword_coordinator::{Call, Client, Context, GroupConfig, GroupShard, Output, ReplyTo};
use catchword_log::{
    AppendOrigin, CleanupPolicy, Engine, LocalEngine, LocalOptions, LogConfig, TopicPartition,
};
use catchword_wire::Uuid;
use catchword_wire::batch::{Batch, BatchBuilder, NewRecord};
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};

use super::*;

/// Somebody who is no member puts a group somewhere.
fn reset(machine: &mut GroupShard, shard: &Partition, group: &str, offset: i64) {
    let request = OffsetCommitRequest {
        group_id: Str::copy(group),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: "t".into(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let client = format!("admin-{offset}");
    call(
        machine,
        shard,
        &client,
        1000 + offset,
        Call::OffsetCommit(request),
    );
}

fn call(machine: &mut GroupShard, shard: &Partition, who: &str, now_ms: i64, call: Call) {
    let client = Client {
        client_id: Str::copy(who),
        ..Client::default()
    };
    let ctx = Context {
        now_ms,
        client: &client,
        api_version: 9,
    };
    let mut out = Output::default();
    machine.step(&ctx, ReplyTo(1), call, &mut out);
    let mut batch = BatchBuilder::new(0);
    for record in out.records.iter() {
        let new = NewRecord {
            timestamp: ctx.now_ms,
            key: Some(record.key),
            value: record.value,
            headers: record.headers,
        };
        batch.push(new).unwrap();
    }
    let batch = Batch::parse(&batch.build().unwrap()).unwrap();
    let appended = shard.append(&[batch], None, AppendOrigin::Coordinator);
    appended.unwrap();
}

fn told(marks: &Marks, shard: &Partition) -> Vec<(String, usize)> {
    let mut all: Vec<(String, usize)> = marks
        .changes(shard)
        .unwrap()
        .iter()
        .map(|(group, found)| (group.to_string(), found.meant.len()))
        .collect();
    all.sort();
    all
}

fn delete(machine: &mut GroupShard, shard: &Partition, group: &str, now_ms: i64) {
    let delete = Call::DeleteGroup(Str::copy(group));
    call(machine, shard, "admin", now_ms, delete);
}

/// Of each group that lost something where it was, and whether its marks alone told it.
fn lost(marks: &Marks, shard: &Partition) -> Vec<(String, Vec<i64>, bool)> {
    let all = marks.bereft(shard).unwrap().into_iter();
    let all = all.map(|one| {
        let (group, found, by_marks) = match one {
            Bereft::Told(group, found) => (group, found, true),
            Bereft::Read(group, found) => (group, found, false),
        };
        let places = found.gone.values().map(|gone| gone.place.offset);
        (group.to_string(), places.collect(), by_marks)
    });
    let mut all: Vec<_> = all.collect();
    all.sort();
    all
}

#[test]
fn what_is_gone_is_told_by_the_marks_and_beyond_their_bound_by_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let tp = TopicPartition::new("__consumer_offsets", 0);
    let log = engine.create(&tp, Uuid([3; 16]), LogConfig::default());
    let shard = Partition::new(tp, log.unwrap(), 0);
    let mut machine = GroupShard::new(GroupConfig::default(), 1);
    let marks = Marks::default();
    for (group, offset) in [("back", 5), ("gone", 6), ("kept", 7)] {
        reset(&mut machine, &shard, group, offset);
    }
    delete(&mut machine, &shard, "back", 2000);
    delete(&mut machine, &shard, "gone", 2001);
    reset(&mut machine, &shard, "back", 8);
    let (back, gone) = ("back".to_owned(), "gone".to_owned());
    let expected = [(back.clone(), vec![], true), (gone.clone(), vec![6], true)];
    assert_eq!(lost(&marks, &shard), expected);
    // So many more that the marks of the two are given up.
    for offset in 0..=MAX_RECORDS as i64 {
        reset(&mut machine, &shard, "kept", offset);
    }
    let expected = [(back, vec![], false), (gone, vec![6], false)];
    assert_eq!(lost(&marks, &shard), expected);
}

#[test]
fn what_compaction_took_out_of_the_log_is_told_no_more() {
    let dir = tempfile::tempdir().unwrap();
    // Compacted to the last value of each key, so that all but one change of a group go.
    let engine = LocalEngine::open(dir.path(), LocalOptions::default()).unwrap();
    let tp = TopicPartition::new("__consumer_offsets", 0);
    let config = LogConfig {
        segment_bytes: 300,
        segment_ms: i64::MAX,
        cleanup_policy: CleanupPolicy::Compact,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    };
    let log = engine.create(&tp, Uuid([3; 16]), config).unwrap();
    let shard = Partition::new(tp, log, 0);
    let mut machine = GroupShard::new(GroupConfig::default(), 1);
    for offset in 1..=10 {
        reset(&mut machine, &shard, "g", offset);
    }
    reset(&mut machine, &shard, "other", 1);
    reset(&mut machine, &shard, "other", 2);
    let marks = Marks::default();
    // The first one took nothing away.
    assert_eq!(told(&marks, &shard)[0], ("g".to_owned(), 9));
    let before = shard.log.rewrites();
    engine.maintain(1_000_000);
    assert_ne!(shard.log.rewrites(), before, "it was compacted");
    let fresh = told(&Marks::default(), &shard);
    assert!(fresh[0].1 < 9, "{fresh:?}");
    assert_eq!(told(&marks, &shard), fresh, "as whoever reads the log anew");
}
