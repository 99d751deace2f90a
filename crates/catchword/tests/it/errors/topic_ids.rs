//! Topic ids that nobody knows, or that are of another topic than the name beside them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::{FetchRequest, OffsetCommitRequest, OffsetFetchRequest};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::wire::{GROUP, Wire};
use super::{Answers, are, code};
use crate::harness::Cluster;

const UNKNOWN: Uuid = Uuid([7; 16]);

struct Asker {
    wire: Wire,
    group: Str,
}

impl Asker {
    fn fetch(&mut self, version: i16, name: &Str, topic_id: Uuid) -> ErrorCode {
        let request = FetchRequest {
            max_wait_ms: 100,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: name.clone(),
                topic_id,
                partitions: vec![FetchPartition {
                    partition_max_bytes: 1 << 20,
                    ..FetchPartition::default()
                }],
            }],
            ..FetchRequest::default()
        };
        let response = self.wire.call(&request, version);
        let partition = response.responses.first().map(|topic| &topic.partitions[0]);
        code(partition.map_or(response.error_code, |partition| partition.error_code))
    }

    fn commit(&mut self, version: i16, name: &Str, topic_id: Uuid) -> ErrorCode {
        let request = OffsetCommitRequest {
            group_id: self.group.clone(),
            topics: vec![OffsetCommitRequestTopic {
                name: name.clone(),
                topic_id,
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: 1,
                    ..OffsetCommitRequestPartition::default()
                }],
            }],
            ..OffsetCommitRequest::default()
        };
        self.wire.patiently(|wire| {
            let response = wire.call(&request, version);
            response.topics[0].partitions[0].error_code
        })
    }

    fn offset(&mut self, version: i16, name: &Str, topic_id: Uuid) -> (ErrorCode, i64) {
        let request = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: self.group.clone(),
                topics: Some(vec![OffsetFetchRequestTopics {
                    name: name.clone(),
                    topic_id,
                    partition_indexes: vec![0],
                }]),
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        let mut offset = -1;
        let error = self.wire.patiently(|wire| {
            let response = wire.call(&request, version);
            let group = &response.groups[0];
            let Some(topic) = group.topics.first() else {
                return group.error_code;
            };
            offset = topic.partitions[0].committed_offset;
            topic.partitions[0].error_code
        });
        (error, offset)
    }
}

#[test]
fn topic_ids_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("ids");
    let topic = cluster.name("t");
    cluster.run(&["topics", "create", &topic]).ok();
    let group = Str::from(cluster.name("g"));
    let mut wire = Wire::to(&cluster, GROUP, &group);
    let id = wire.topic_id(&topic);
    let topic = Str::from(topic);
    let missing = Str::from(cluster.name("missing"));
    let mut asker = Asker { wire, group };
    let answers: Answers = vec![
        ("fetch: unknown", asker.fetch(13, &Str::EMPTY, UNKNOWN)),
        ("fetch: none", asker.fetch(13, &Str::EMPTY, Uuid::default())),
        ("fetch", asker.fetch(13, &Str::EMPTY, id)),
        (
            "fetch: an unknown name",
            asker.fetch(12, &missing, Uuid::default()),
        ),
        ("commit: unknown", asker.commit(10, &Str::EMPTY, UNKNOWN)),
        (
            "commit: none",
            asker.commit(10, &Str::EMPTY, Uuid::default()),
        ),
        ("commit", asker.commit(10, &Str::EMPTY, id)),
        (
            "commit: an unknown name",
            asker.commit(9, &missing, Uuid::default()),
        ),
        ("offset: unknown", asker.offset(10, &Str::EMPTY, UNKNOWN).0),
        (
            "offset: none",
            asker.offset(10, &Str::EMPTY, Uuid::default()).0,
        ),
        ("offset", asker.offset(10, &Str::EMPTY, id).0),
        (
            "offset: an unknown name",
            asker.offset(9, &missing, Uuid::default()).0,
        ),
    ];
    are(
        &answers,
        &[
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicId,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicId,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicId,
            ErrorCode::None,
            ErrorCode::None,
        ],
    );
    assert_eq!(asker.offset(10, &Str::EMPTY, id).1, 1);
    assert_eq!(asker.offset(9, &topic, Uuid::default()).1, 1);
}
