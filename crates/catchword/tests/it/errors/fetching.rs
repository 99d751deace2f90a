//! Fetches, ListOffsets, OffsetForLeaderEpoch and DeleteRecords of offsets, partitions and leader epochs that are not there,
//! and fetch sessions (KIP-227) that are out of step.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use catchword_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use catchword_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use catchword_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use catchword_wire::messages::{
    DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use super::ground::Ground;
use super::{Answers, are, code};
use crate::harness::Cluster;

const NOWHERE: &str = "no-such-topic";

/// No leader epoch was ever so high.
const LATER: i32 = 1_000_000;
/// The client does not say which leader epoch it knows of.
const UNSAID: i32 = -1;
/// Below every leader epoch, and said all the same.
const EARLIER: i32 = -2;

const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;

struct Asker(Ground);

impl Asker {
    /// Two records in a topic of one partition.
    fn new(cluster: &Cluster) -> Asker {
        let ground = Ground::new(cluster, 1);
        cluster.feed(&["produce", &ground.topic], "a\nb\n").ok();
        Asker(ground)
    }

    fn fetching(&self, partition: FetchPartition) -> FetchRequest {
        FetchRequest {
            max_wait_ms: 100,
            max_bytes: 1 << 20,
            session_epoch: -1,
            topics: vec![FetchTopic {
                topic: self.0.topic.clone(),
                partitions: vec![FetchPartition {
                    partition_max_bytes: 1 << 20,
                    ..partition
                }],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        }
    }

    /// The error of the fetch's only partition, or of the fetch as a whole.
    fn fetch_with(&mut self, partition: FetchPartition) -> ErrorCode {
        let request = self.fetching(partition);
        let response = self.0.wire.call(&request, 12);
        match code(response.error_code) {
            ErrorCode::None => code(response.responses[0].partitions[0].error_code),
            error => error,
        }
    }

    fn fetch(&mut self, partition: i32, fetch_offset: i64) -> ErrorCode {
        self.fetch_with(FetchPartition {
            partition,
            fetch_offset,
            ..FetchPartition::default()
        })
    }

    fn fetch_at_epoch(&mut self, current_leader_epoch: i32) -> ErrorCode {
        self.fetch_with(FetchPartition {
            current_leader_epoch,
            ..FetchPartition::default()
        })
    }

    /// The error of a fetch in a session, and the session's id.
    fn in_session(&mut self, id: i32, epoch: i32) -> (ErrorCode, i32) {
        let mut request = self.fetching(FetchPartition::default());
        (request.session_id, request.session_epoch) = (id, epoch);
        let response = self.0.wire.call(&request, 12);
        (code(response.error_code), response.session_id)
    }

    /// The errors of what is asked for of the partitions of a topic.
    fn list(&mut self, version: i16, topic: &str, asked: &[(i32, i32, i64)]) -> Vec<ErrorCode> {
        let one = |&(partition_index, current_leader_epoch, timestamp): &_| ListOffsetsPartition {
            partition_index,
            current_leader_epoch,
            timestamp,
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: Str::copy(topic),
                partitions: asked.iter().map(one).collect(),
            }],
            ..ListOffsetsRequest::default()
        };
        let response = self.0.wire.call(&request, version);
        let partitions = response.topics[0].partitions.iter();
        partitions.map(|found| code(found.error_code)).collect()
    }

    fn offset(&mut self, partition: i32, epoch: i32, timestamp: i64) -> ErrorCode {
        let topic = self.0.topic.clone();
        self.list(10, &topic, &[(partition, epoch, timestamp)])[0]
    }

    /// Where a leader epoch ends, as the leader of this epoch is asked.
    fn end(&mut self, topic: &str, partition: i32, current: i32, epoch: i32) -> (ErrorCode, i64) {
        let request = OffsetForLeaderEpochRequest {
            replica_id: -1,
            topics: vec![OffsetForLeaderTopic {
                topic: Str::copy(topic),
                partitions: vec![OffsetForLeaderPartition {
                    partition,
                    current_leader_epoch: current,
                    leader_epoch: epoch,
                }],
            }],
        };
        let response = self.0.wire.call(&request, 4);
        let found = &response.topics[0].partitions[0];
        (code(found.error_code), found.end_offset)
    }

    fn delete(&mut self, topic: &str, partition_index: i32, offset: i64) -> ErrorCode {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: Str::copy(topic),
                partitions: vec![DeleteRecordsPartition {
                    partition_index,
                    offset,
                }],
            }],
            timeout_ms: 30_000,
        };
        let response = self.0.wire.call(&request, 2);
        code(response.topics[0].partitions[0].error_code)
    }
}

#[test]
fn fetches_of_what_is_not_there_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("fetching");
    let mut asker = Asker::new(&cluster);
    let topic = asker.0.topic.clone();
    let answers: Answers = vec![
        ("the first record", asker.fetch(0, 0)),
        ("the end", asker.fetch(0, 2)),
        ("behind the end", asker.fetch(0, 3)),
        ("below all offsets", asker.fetch(0, -1)),
        ("no partition", asker.fetch(7, 0)),
        ("less than a partition", asker.fetch(-1, 0)),
        ("of any leader", asker.fetch_at_epoch(EARLIER)),
        ("a leader to come", asker.fetch_at_epoch(LATER)),
        ("delete: no topic", asker.delete(NOWHERE, 0, 1)),
        ("delete: no partition", asker.delete(&topic, 7, 1)),
        ("delete: behind the end", asker.delete(&topic, 0, 3)),
        ("delete: below the end", asker.delete(&topic, 0, -2)),
        ("delete", asker.delete(&topic, 0, 1)),
        ("delete what is gone", asker.delete(&topic, 0, 0)),
        ("a record that is gone", asker.fetch(0, 0)),
        ("a record that is left", asker.fetch(0, 1)),
    ];
    are(
        &answers,
        &[
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::OffsetOutOfRange,
            ErrorCode::OffsetOutOfRange,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::None,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::OffsetOutOfRange,
            ErrorCode::OffsetOutOfRange,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::OffsetOutOfRange,
            ErrorCode::None,
        ],
    );
}

#[test]
fn offsets_that_cannot_be_told_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("offsets");
    let mut asker = Asker::new(&cluster);
    let topic = asker.0.topic.clone();
    let earliest = (0, UNSAID, EARLIEST);
    let twice = asker.list(10, &topic, &[earliest, earliest]);
    let (ends, end) = asker.end(&topic, 0, UNSAID, LATER);
    assert_eq!(end, -1, "an epoch to come ends nowhere");
    let answers: Answers = vec![
        ("list: no topic", asker.list(10, NOWHERE, &[earliest])[0]),
        ("list: no partition", asker.offset(7, UNSAID, EARLIEST)),
        (
            "list: the leader of before",
            asker.offset(0, EARLIER, EARLIEST),
        ),
        ("list: a leader to come", asker.offset(0, LATER, EARLIEST)),
        (
            "list: a time with no meaning",
            asker.offset(0, UNSAID, -100),
        ),
        (
            "list: more than an old client can ask",
            asker.list(6, &topic, &[(0, UNSAID, MAX_TIMESTAMP)])[0],
        ),
        ("list: the same twice", twice[0]),
        ("list: the same twice, again", *twice.last().unwrap()),
        ("list", asker.offset(0, UNSAID, EARLIEST)),
        ("end: no topic", asker.end(NOWHERE, 0, UNSAID, 0).0),
        ("end: no partition", asker.end(&topic, 7, UNSAID, 0).0),
        (
            "end: the leader of before",
            asker.end(&topic, 0, EARLIER, 0).0,
        ),
        ("end: a leader to come", asker.end(&topic, 0, LATER, 0).0),
        ("end: of an epoch to come", ends),
        ("end", asker.end(&topic, 0, UNSAID, 0).0),
    ];
    are(
        &answers,
        &[
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::UnsupportedVersion,
            ErrorCode::UnsupportedVersion,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::FencedLeaderEpoch,
            ErrorCode::UnknownLeaderEpoch,
            ErrorCode::None,
            ErrorCode::None,
        ],
    );
}

#[test]
fn fetch_sessions_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("fetch-sessions");
    let mut asker = Asker::new(&cluster);
    let mut answers: Answers = vec![
        ("an epoch of no session", asker.in_session(0, 1).0),
        ("a session nobody has", asker.in_session(12345, 1).0),
    ];
    let (begun, id) = asker.in_session(0, 0);
    assert_ne!(id, 0, "a session was begun");
    answers.extend([
        ("begin", begun),
        ("the next", asker.in_session(id, 1).0),
        ("the same again", asker.in_session(id, 1).0),
        ("an epoch to come", asker.in_session(id, 5).0),
        ("by topic id", {
            let mut request = asker.fetching(FetchPartition::default());
            request.topics[0].topic_id = Uuid([7; 16]);
            (request.session_id, request.session_epoch) = (id, 2);
            code(asker.0.wire.call(&request, 13).error_code)
        }),
        ("the one after the next", asker.in_session(id, 2).0),
        ("the end", asker.in_session(id, -1).0),
        ("after the end", asker.in_session(id, 3).0),
        ("the end of what has ended", asker.in_session(id, -1).0),
    ]);
    are(
        &answers,
        &[
            ErrorCode::FetchSessionIdNotFound,
            ErrorCode::FetchSessionIdNotFound,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::InvalidFetchSessionEpoch,
            ErrorCode::InvalidFetchSessionEpoch,
            ErrorCode::FetchSessionTopicIdError,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::FetchSessionIdNotFound,
            ErrorCode::None,
        ],
    );
}
