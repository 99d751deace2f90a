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
use catchword_wire::messages::streams_group_heartbeat_request::{Subtopology, Topology};
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, OffsetCommitRequest, StreamsGroupHeartbeatRequest,
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

/// The topics `orders-0`, `orders-1` and so on, of so many partitions each.
fn image(version: u64, topics: u8, partitions: i32) -> Arc<MetadataImage> {
    let topic = |n| TopicImage {
        name: topic_name(n),
        id: Uuid([n + 1; 16]),
        partitions,
    };
    Arc::new(MetadataImage::new(version, (0..topics).map(topic)))
}

fn topic_name(n: u8) -> Str {
    Str::from(format!("orders-{n}"))
}

fn member_name(n: usize) -> Str {
    Str::from(format!("member-{n}"))
}

/// Partitions are shared out as soon as there is a reason to.
fn without_interval() -> GroupConfig {
    let mut config = GroupConfig::default();
    let settings = &mut config.consumer.defaults;
    settings.assignment_interval_ms = 0;
    settings.streams.assignment_interval_ms = 0;
    settings.streams.initial_rebalance_delay_ms = 0;
    config
}

/// A KIP-848 group of 10,000 members: how long they take to join, and what a heartbeat costs that says nothing new.
fn consumer_group(members: usize) {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    // While they join there is nothing to share out yet, so that nobody waits for anybody.
    shard.set_metadata(image(1, 1, 0));
    let joins = (0..members).map(|n| {
        Call::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: member_name(n),
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(vec![topic_name(0)]),
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
                member_id: member_name(n),
                member_epoch,
                ..Default::default()
            })
        };
        (0..members).map(beat).collect::<Vec<_>>()
    };
    shard.set_config(without_interval());
    shard.set_metadata(image(2, 1, members as i32));
    time("heartbeat, given a partition", &mut shard, alive(2));
    let epoch = members as i32 + 2;
    time("heartbeat, nothing new", &mut shard, alive(epoch));
}

/// A KIP-1071 group: the same.
fn streams_group(members: usize) {
    let mut config = without_interval();
    config.consumer.defaults.streams.assignment_interval_ms = 1000;
    let mut shard = GroupShard::new(config, 1);
    shard.set_metadata(image(1, 0, 0));
    let beat = |n, member_epoch| StreamsGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member_name(n),
        member_epoch,
        ..Default::default()
    };
    let joins = (0..members).map(|n| {
        Call::StreamsGroupHeartbeat(StreamsGroupHeartbeatRequest {
            rebalance_timeout_ms: 60_000,
            process_id: Some(member_name(n)),
            active_tasks: Some(Vec::new()),
            standby_tasks: Some(Vec::new()),
            warmup_tasks: Some(Vec::new()),
            topology: Some(Topology {
                epoch: 0,
                subtopologies: vec![Subtopology {
                    subtopology_id: "0".into(),
                    source_topics: vec![topic_name(0)],
                    ..Default::default()
                }],
            }),
            ..beat(n, 0)
        })
    });
    let name = format!("join of {members} streams members");
    time(&name, &mut shard, joins.collect());
    let alive = |member_epoch| {
        let all = (0..members).map(|n| beat(n, member_epoch));
        all.map(Call::StreamsGroupHeartbeat).collect()
    };
    shard.set_config(without_interval());
    shard.set_metadata(image(2, 1, members as i32));
    time("heartbeat, given a task", &mut shard, alive(2));
    let epoch = members as i32 + 2;
    time("streams heartbeat, nothing new", &mut shard, alive(epoch));
}

/// How long it takes to share out what 1,000 consumers of a group read, who do not all read the same: the heartbeat that
/// does it for all.
fn differing_subscriptions(topics: u8, partitions: i32) {
    let mut shard = GroupShard::new(GroupConfig::default(), 1);
    shard.set_metadata(image(1, topics, 0));
    // Each reads half of the topics, and another half than its neighbours.
    let topics_of = |n: usize| {
        let own =
            (0..topics).filter(move |topic| (n >> (topic % 10)) & 1 == usize::from(topic / 10 % 2));
        own.map(topic_name).collect()
    };
    let joins = (0..1000).map(|n| {
        Call::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
            group_id: "g".into(),
            member_id: member_name(n),
            rebalance_timeout_ms: 60_000,
            subscribed_topic_names: Some(topics_of(n)),
            topic_partitions: Some(Vec::new()),
            ..Default::default()
        })
    });
    time(
        "join of 1000 consumers, reading half",
        &mut shard,
        joins.collect(),
    );
    shard.set_config(without_interval());
    shard.set_metadata(image(2, topics, partitions));
    let first = Call::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: member_name(0),
        member_epoch: 2,
        ..Default::default()
    });
    let name = format!("sharing out {topics} × {partitions} partitions");
    time(&name, &mut shard, vec![first]);
}

fn main() {
    consumer_group(10_000);
    streams_group(10_000);
    differing_subscriptions(100, 100);
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
