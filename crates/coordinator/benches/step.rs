//! How long a step takes and how much memory a bookmark: `cargo bench -p catchword-coordinator`.
//!
//! Prints nanoseconds a step, records encoded, replies made and dropped, and bytes of resident memory an offset.

#![allow(clippy::disallowed_methods)] // A benchmark reads clocks; the coordinator does not.

use std::hint::black_box;
use std::time::Instant;

use catchword_coordinator::{
    Call, Client, Context, CoordinatorRecord, GroupConfig, GroupShard, OffsetFetchCall, Output,
    ReplyTo,
};
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::{Str, Uuid};

fn commit(group: &Str, topic: &Str, partitions: i32, offset: i64) -> Call {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 0,
        committed_metadata: Some(Str::EMPTY),
    };
    Call::OffsetCommit(OffsetCommitRequest {
        group_id: group.clone(),
        topics: vec![OffsetCommitRequestTopic {
            name: topic.clone(),
            topic_id: Uuid([7; 16]),
            partitions: (0..partitions).map(partition).collect(),
        }],
        ..OffsetCommitRequest::default()
    })
}

fn fetch(group: &Str, topic: &Str, partitions: i32) -> Call {
    Call::OffsetFetch(OffsetFetchCall {
        group: OffsetFetchRequestGroup {
            group_id: group.clone(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: topic.clone(),
                topic_id: Uuid([7; 16]),
                partition_indexes: (0..partitions).collect(),
            }]),
            ..OffsetFetchRequestGroup::default()
        },
        require_stable: false,
    })
}

fn client() -> Client {
    Client {
        client_id: Str::copy("consumer-orders-1"),
        client_host: Str::copy("/10.20.30.40"),
        principal: Str::EMPTY,
    }
}

/// Runs calls that were made before, so that only the steps are timed.
fn time(name: &str, shard: &mut GroupShard, calls: Vec<Call>) {
    let client = client();
    let ctx = Context {
        now_ms: 1_000_000,
        client: &client,
        api_version: 9,
    };
    let mut out = Output::default();
    let n = calls.len();
    let started = Instant::now();
    for (to, call) in (0..).zip(calls) {
        shard.step(&ctx, ReplyTo(to), call, &mut out);
        black_box(&out);
        out.clear();
    }
    println!(
        "{name:<40}{:>8} ns a step",
        started.elapsed().as_nanos() / n as u128
    );
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// The shard is handed back so that its memory is not taken for the next one.
fn memory(name: &str, groups: i64, partitions: i32) -> GroupShard {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    let client = client();
    let ctx = Context {
        now_ms: 1_000_000,
        client: &client,
        api_version: 9,
    };
    let topic = Str::copy("orders-of-all-countries");
    let mut out = Output::default();
    let before = resident_bytes();
    for group in 0..groups {
        let group = Str::from(format!("billing-service-{group}"));
        shard.step(
            &ctx,
            ReplyTo(0),
            commit(&group, &topic, partitions, 1),
            &mut out,
        );
        out.clear();
    }
    let offsets = groups * i64::from(partitions);
    let bytes = resident_bytes().saturating_sub(before) as i64 / offsets;
    println!("{name:<40}{bytes:>8} bytes an offset");
    shard
}

fn replay(records: &[CoordinatorRecord]) {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    let started = Instant::now();
    for record in records {
        let replayed = shard.replay(0, &record.key, record.value.as_deref(), &record.headers);
        assert!(replayed.is_ok());
    }
    let each = started.elapsed().as_nanos() / records.len() as u128;
    println!(
        "{:<40}{each:>8} ns a record",
        "replay, 100 partitions, 1000 groups"
    );
    let mut out = Output::default();
    let started = Instant::now();
    shard.expire_offsets(1_000_000, &mut out);
    let each = started.elapsed().as_nanos() / records.len() as u128;
    println!("{:<40}{each:>8} ns an offset", "sweep, nothing expired");
}

fn main() {
    let topic = Str::copy("orders-of-all-countries");
    let groups: Vec<Str> = (0..1000)
        .map(|i| Str::from(format!("billing-service-{i}")))
        .collect();
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    for (name, partitions, n) in [("1 partition", 1, 200_000), ("100 partitions", 100, 5_000)] {
        for verb in ["commit", "fetch"] {
            let calls = (0..n).map(|i| {
                let group = &groups[i as usize % groups.len()];
                match verb {
                    "commit" => commit(group, &topic, partitions, i64::from(i)),
                    _ => fetch(group, &topic, partitions),
                }
            });
            time(
                &format!("{verb}, {name}, 1000 groups"),
                &mut shard,
                calls.collect(),
            );
        }
    }
    replay(&shard.dump_records());
    black_box([
        memory("10,000 groups of 100 partitions", 10_000, 100),
        memory("100,000 groups of 10 partitions", 100_000, 10),
        memory("300,000 groups of 1 partition", 300_000, 1),
    ]);
}
