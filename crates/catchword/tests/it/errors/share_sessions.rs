//! Share sessions (KIP-932) of wrong epochs, and acknowledgements of what was not acquired.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::messages::share_acknowledge_request::{
    AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
};
use catchword_wire::messages::share_fetch_request::{self, FetchPartition, FetchTopic};
use catchword_wire::messages::{
    ShareAcknowledgeRequest, ShareFetchRequest, ShareGroupHeartbeatRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::ground::Ground;
use super::{Answers, are, code};
use crate::harness::{Cluster, wait_until};

const ACCEPT: i8 = 1;
const MEMBER: &str = "m";
const UNKNOWN: Uuid = Uuid([7; 16]);

/// Where: a topic's id and a partition.
pub(super) type Place = (Uuid, i32);

pub(super) struct Reader<'a> {
    cluster: &'a Cluster,
    ground: Ground,
    pub(super) place: Place,
    /// What the session's next request has to say.
    epoch: i32,
}

impl<'a> Reader<'a> {
    /// Of two partitions.
    pub(super) fn new(cluster: &'a Cluster) -> Reader<'a> {
        Reader::joined(cluster, Ground::new(cluster, 2))
    }

    /// A member of a share group that is at its assignment; its session has not begun.
    pub(super) fn joined(cluster: &'a Cluster, mut ground: Ground) -> Reader<'a> {
        let place = (ground.wire.topic_id(&ground.topic), 0);
        let mut request = ShareGroupHeartbeatRequest {
            group_id: ground.group.clone(),
            member_id: MEMBER.into(),
            subscribed_topic_names: Some(vec![ground.topic.clone()]),
            ..ShareGroupHeartbeatRequest::default()
        };
        wait_until("the member is given its partition", || {
            let response = ground.wire.call(&request, 1);
            if response.error_code == 0 {
                request.member_epoch = response.member_epoch;
            }
            let assigned = response.assignment.map(|a| a.topic_partitions);
            assigned.is_some_and(|topics| !topics.is_empty())
        });
        Reader {
            cluster,
            ground,
            place,
            epoch: 0,
        }
    }

    pub(super) fn fetching(&self, epoch: i32, place: Place) -> ShareFetchRequest {
        ShareFetchRequest {
            group_id: Some(self.ground.group.clone()),
            member_id: Some(MEMBER.into()),
            share_session_epoch: epoch,
            max_wait_ms: 100,
            min_bytes: 1,
            max_bytes: 1 << 20,
            max_records: 100,
            batch_size: 100,
            topics: vec![FetchTopic {
                topic_id: place.0,
                partitions: vec![FetchPartition {
                    partition_index: place.1,
                    ..FetchPartition::default()
                }],
            }],
            ..ShareFetchRequest::default()
        }
    }

    /// The error of a fetch as a whole.
    pub(super) fn fetch(&mut self, epoch: i32) -> ErrorCode {
        let request = self.fetching(epoch, self.place);
        code(self.ground.wire.call(&request, 1).error_code)
    }

    /// The error of what a new session fetches there, or of the fetch as a whole.
    fn fetch_from(&mut self, place: Place) -> ErrorCode {
        let request = self.fetching(0, place);
        let response = self.ground.wire.call(&request, 1);
        match code(response.error_code) {
            ErrorCode::None => code(response.responses[0].partitions[0].error_code),
            error => error,
        }
    }

    /// Fetches in the session until records are acquired: the first and the last of them.
    pub(super) fn acquire(&mut self) -> (i64, i64) {
        let mut acquired = None;
        wait_until("records are acquired", || {
            let produce = ["produce", &self.ground.topic, "--partition", "0"];
            self.cluster.feed(&produce, "a\nb\n").ok();
            let request = self.fetching(self.epoch, self.place);
            let response = self.ground.wire.call(&request, 1);
            assert_eq!(code(response.error_code), ErrorCode::None);
            self.epoch += 1;
            let topics = response.responses.iter();
            let partitions = topics.flat_map(|topic| &topic.partitions);
            let mut ranges = partitions.flat_map(|partition| &partition.acquired_records);
            acquired = ranges.next().map(|r| (r.first_offset, r.last_offset));
            acquired.is_some()
        });
        acquired.unwrap()
    }

    fn acknowledging(
        &self,
        epoch: i32,
        place: Place,
        range: (i64, i64),
        kinds: &[i8],
    ) -> ShareAcknowledgeRequest {
        ShareAcknowledgeRequest {
            group_id: Some(self.ground.group.clone()),
            member_id: Some(MEMBER.into()),
            share_session_epoch: epoch,
            topics: vec![AcknowledgeTopic {
                topic_id: place.0,
                partitions: vec![AcknowledgePartition {
                    partition_index: place.1,
                    acknowledgement_batches: vec![AcknowledgementBatch {
                        first_offset: range.0,
                        last_offset: range.1,
                        acknowledge_types: kinds.to_vec(),
                    }],
                }],
            }],
            ..ShareAcknowledgeRequest::default()
        }
    }

    /// The error of an acknowledgement as a whole.
    fn acknowledge(&mut self, epoch: i32) -> ErrorCode {
        let request = self.acknowledging(epoch, self.place, (0, 0), &[ACCEPT]);
        code(self.ground.wire.call(&request, 1).error_code)
    }

    /// The error of what is acknowledged there in the session.
    fn acknowledge_at(&mut self, place: Place, range: (i64, i64), kinds: &[i8]) -> ErrorCode {
        let request = self.acknowledging(self.epoch, place, range, kinds);
        let response = self.ground.wire.call(&request, 1);
        assert_eq!(code(response.error_code), ErrorCode::None);
        self.epoch += 1;
        code(response.responses[0].partitions[0].error_code)
    }
}

#[test]
fn share_sessions_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("share-sessions");
    let mut reader = Reader::new(&cluster);
    let mut answers: Answers = vec![
        ("no session: a later fetch", reader.fetch(3)),
        ("no session: the last fetch", reader.fetch(-1)),
        ("no session: acknowledge", reader.acknowledge(1)),
        ("no session: acknowledge and end", reader.acknowledge(-1)),
        ("begin by an acknowledgement", reader.acknowledge(0)),
        ("begin with an acknowledgement", {
            let mut request = reader.fetching(0, reader.place);
            request.topics[0].partitions[0].acknowledgement_batches =
                vec![share_fetch_request::AcknowledgementBatch {
                    first_offset: 0,
                    last_offset: 0,
                    acknowledge_types: vec![ACCEPT],
                }];
            code(reader.ground.wire.call(&request, 1).error_code)
        }),
        ("nobody's fetch", {
            let mut request = reader.fetching(0, reader.place);
            request.member_id = Some(Str::EMPTY);
            code(reader.ground.wire.call(&request, 1).error_code)
        }),
        ("no group", {
            let mut request = reader.fetching(0, reader.place);
            request.group_id = None;
            code(reader.ground.wire.call(&request, 1).error_code)
        }),
        ("nobody's acknowledgement", {
            let mut request = reader.acknowledging(1, reader.place, (0, 0), &[ACCEPT]);
            request.member_id = None;
            code(reader.ground.wire.call(&request, 1).error_code)
        }),
    ];
    answers.extend([
        ("begin", reader.fetch(0)),
        ("an epoch to come", reader.fetch(2)),
        ("acknowledge in one to come", reader.acknowledge(3)),
        ("the next", reader.fetch(1)),
        ("the same again", reader.fetch(1)),
        ("acknowledge in one that is over", reader.acknowledge(1)),
        ("begin anew", reader.fetch(0)),
        ("the one after the first end", reader.fetch(2)),
        ("the end", reader.fetch(-1)),
        ("after the end", reader.fetch(1)),
    ]);
    are(
        &answers,
        &[
            ErrorCode::ShareSessionNotFound,
            ErrorCode::ShareSessionNotFound,
            ErrorCode::ShareSessionNotFound,
            ErrorCode::ShareSessionNotFound,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::None,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::None,
            ErrorCode::InvalidShareSessionEpoch,
            ErrorCode::None,
            ErrorCode::ShareSessionNotFound,
        ],
    );
}

#[test]
fn acknowledgements_of_what_was_not_acquired_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("share-acks");
    let mut reader = Reader::new(&cluster);
    let (first, last) = reader.acquire();
    let here = reader.place;
    let nowhere = (UNKNOWN, 0);
    let held = (first, last);
    let answers: Answers = vec![
        (
            "a topic id nobody knows",
            reader.acknowledge_at(nowhere, held, &[ACCEPT]),
        ),
        (
            "a partition that is not there",
            reader.acknowledge_at((here.0, 9), held, &[ACCEPT]),
        ),
        (
            "a partition that was not read from",
            reader.acknowledge_at((here.0, 1), held, &[ACCEPT]),
        ),
        (
            "records to come",
            reader.acknowledge_at(here, (last + 100, last + 101), &[ACCEPT]),
        ),
        (
            "more than is held",
            reader.acknowledge_at(here, (first, last + 100), &[ACCEPT]),
        ),
        (
            "backwards",
            reader.acknowledge_at(here, (last, first - 1), &[ACCEPT]),
        ),
        (
            "a kind that is not there",
            reader.acknowledge_at(here, held, &[9]),
        ),
        ("no kind at all", reader.acknowledge_at(here, held, &[])),
        (
            "more kinds than records",
            reader.acknowledge_at(here, held, &[ACCEPT; 50]),
        ),
        ("what is held", reader.acknowledge_at(here, held, &[ACCEPT])),
        // What is below the group's start was seen to, whoever says so again.
        ("again", reader.acknowledge_at(here, held, &[ACCEPT])),
    ];
    are(
        &answers,
        &[
            ErrorCode::UnknownTopicId,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::None,
        ],
    );
}

#[test]
fn share_fetches_of_what_is_not_there_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("share-ids");
    let mut reader = Reader::new(&cluster);
    let here = reader.place;
    // Kafka 4.3.1 counts the bytes by the topic's name, has none here, and fails; it means to answer this.
    let unknown = match cluster.is_own() {
        true => ErrorCode::UnknownTopicId,
        false => ErrorCode::UnknownServerError,
    };
    let answers: Answers = vec![
        (
            "a partition that is not there",
            reader.fetch_from((here.0, 9)),
        ),
        ("a topic id nobody knows", reader.fetch_from((UNKNOWN, 0))),
        ("no topic id", reader.fetch_from((Uuid::default(), 0))),
    ];
    are(
        &answers,
        &[ErrorCode::UnknownTopicOrPartition, unknown, unknown],
    );
}
