//! How long a step takes and how much memory a bookmark: `cargo run --release -p catchword-coordinator --example figures`.
//!
//! Prints nanoseconds a step, records encoded, replies made and dropped, and bytes of resident memory an offset.

#![allow(clippy::disallowed_methods)] // A benchmark reads clocks; the coordinator does not.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use catchword_coordinator::{
    Call, Client, Context, GroupConfig, GroupShard, MetadataImage, OffsetFetchCall, Output,
    Records, ReplyTo, TopicImage,
};
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::{ConsumerGroupHeartbeatRequest, OffsetCommitRequest};
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

fn replay(records: &Records) {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    let started = Instant::now();
    for record in records.iter() {
        let replayed = shard.replay(0, record.key, record.value, record.headers);
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

/// A KIP-848 group of 10,000 members: how long they take to join, and what a heartbeat costs that says nothing new.
fn consumer_group(members: usize) {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    let image = |version, partitions| {
        let topic = TopicImage {
            name: "orders".into(),
            id: Uuid([1; 16]),
            partitions,
        };
        Arc::new(MetadataImage::new(version, [topic]))
    };
    // While they join there is nothing to share out yet, so that nobody waits for anybody.
    shard.set_metadata(image(1, 0));
    let id = |n: usize| Str::from(format!("member-{n}"));
    let joins = (0..members).map(|n| {
        Call::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: id(n),
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec!["orders".into()]),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        })
    });
    let name = format!("join of {members} consumers");
    time(&name, &mut shard, joins.collect());
    let alive = |member_epoch| {
        let beat = move |n: usize| {
            Call::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
                group_id: "g".into(),
                member_id: id(n),
                member_epoch,
                ..Default::default()
            })
        };
        (0..members).map(beat).collect::<Vec<_>>()
    };
    let mut config = GroupConfig::default();
    config.consumer.defaults.assignment_interval_ms = 0;
    shard.set_config(config);
    shard.set_metadata(image(2, members as i32));
    time("heartbeat, given a partition", &mut shard, alive(2));
    let epoch = members as i32 + 2;
    time("heartbeat, nothing new", &mut shard, alive(epoch));
}

fn main() {
    consumer_group(10_000);
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
