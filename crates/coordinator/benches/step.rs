//! What a commit and a fetch of bookmarks cost: `cargo bench -p catchword-coordinator`. Criterion compares with the run before.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

use catchword_coordinator::{
    Call, Client, Context, GroupConfig, GroupShard, OffsetFetchCall, Output, ReplyTo,
};
use catchword_wire::messages::OffsetCommitRequest;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::{Str, Uuid};

const TOPIC: &str = "orders-of-all-countries";

fn commit(group: &Str, partitions: i32, offset: i64) -> Call {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        committed_leader_epoch: 0,
        committed_metadata: Some(Str::EMPTY),
    };
    Call::OffsetCommit(OffsetCommitRequest {
        group_id: group.clone(),
        topics: vec![OffsetCommitRequestTopic {
            name: TOPIC.into(),
            topic_id: Uuid([7; 16]),
            partitions: (0..partitions).map(partition).collect(),
        }],
        ..OffsetCommitRequest::default()
    })
}

fn fetch(group: &Str, partitions: i32) -> Call {
    Call::OffsetFetch(OffsetFetchCall {
        group: OffsetFetchRequestGroup {
            group_id: group.clone(),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: TOPIC.into(),
                topic_id: Uuid([7; 16]),
                partition_indexes: (0..partitions).collect(),
            }]),
            ..OffsetFetchRequestGroup::default()
        },
        require_stable: false,
    })
}

fn steps(c: &mut Criterion) {
    let client = Client {
        client_id: Str::copy("consumer-orders-1"),
        client_host: Str::copy("/10.20.30.40"),
        principal: Str::EMPTY,
    };
    let ctx = Context {
        now_ms: 1_000_000,
        client: &client,
        api_version: 9,
    };
    let groups: Vec<Str> = (0..1000)
        .map(|i| Str::from(format!("billing-service-{i}")))
        .collect();
    let mut group = c.benchmark_group("one of 1,000 groups");
    for partitions in [1, 100] {
        let mut shard = GroupShard::new(GroupConfig::default(), 1);
        let (mut out, mut turn) = (Output::default(), 0);
        group.throughput(Throughput::Elements(partitions as u64));
        for verb in ["commits", "fetches"] {
            let mut next = || {
                turn += 1;
                let group = &groups[turn % groups.len()];
                match verb {
                    "commits" => commit(group, partitions, turn as i64),
                    _ => fetch(group, partitions),
                }
            };
            let mut step = |call| {
                out.clear();
                shard.step(&ctx, ReplyTo(0), call, &mut out);
            };
            group.bench_function(format!("{verb} {partitions} bookmarks"), |b| {
                b.iter_batched(&mut next, &mut step, BatchSize::SmallInput);
            });
        }
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
