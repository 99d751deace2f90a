//! Committed offsets from the outside: what is promised holds over the socket, on disk and through a restart.

use catchword_wire::messages::delete_topics_request::DeleteTopicState;
use catchword_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::{
    DeleteGroupsRequest, DeleteTopicsRequest, IncrementalAlterConfigsRequest, MetadataRequest,
    OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest,
};
use catchword_wire::records::{OffsetCommitKey, OffsetCommitValue};
use catchword_wire::{Decoder, ErrorCode, Message, Str, Uuid};

use crate::harness::{Client, TestBroker, fetch_request, records_of};

fn commit_request(group: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partition =
        |(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *committed_offset,
            committed_metadata: Some("m".into()),
            ..Default::default()
        };
    OffsetCommitRequest {
        group_id: Str::copy(group),
        topics: vec![OffsetCommitRequestTopic {
            name: Str::copy(topic),
            partitions: offsets.iter().map(partition).collect(),
            ..Default::default()
        }],
        ..OffsetCommitRequest::default()
    }
}

pub(crate) fn commit(
    client: &mut Client,
    group: &str,
    topic: &str,
    offsets: &[(i32, i64)],
) -> Vec<(i32, i16)> {
    let response = client.call(&commit_request(group, topic, offsets), 9);
    let mut codes: Vec<_> = response
        .topics
        .iter()
        .flat_map(|t| {
            t.partitions
                .iter()
                .map(|p| (p.partition_index, p.error_code))
        })
        .collect();
    codes.sort_unstable();
    codes
}

pub(crate) fn fetch_offset(client: &mut Client, group: &str, topic: &str, partition: i32) -> i64 {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: Str::copy(group),
            topics: Some(vec![OffsetFetchRequestTopics {
                name: Str::copy(topic),
                partition_indexes: vec![partition],
                ..Default::default()
            }]),
            ..Default::default()
        }],
        ..OffsetFetchRequest::default()
    };
    // G9: a shard that is still being read says so, and is asked again.
    let mut found = client.call(&request, 9).groups[0].clone();
    while found.error_code == ErrorCode::CoordinatorLoadInProgress.code() {
        found = client.call(&request, 9).groups[0].clone();
    }
    assert_eq!(found.error_code, 0);
    found.topics[0].partitions[0].committed_offset
}

#[test]
fn c10_a_commit_that_was_answered_survives_a_crash() {
    let broker = TestBroker::start();
    broker.topic("t", 3, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    for offset in 0..50 {
        assert_eq!(
            commit(&mut client, "g", "t", &[(0, offset), (1, 2 * offset)]),
            [(0, 0), (1, 0)]
        );
    }
    let broker = broker.restart();
    let mut client = broker.client();
    assert_eq!(fetch_offset(&mut client, "g", "t", 0), 49);
    assert_eq!(fetch_offset(&mut client, "g", "t", 1), 98);
    assert_eq!(
        fetch_offset(&mut client, "g", "t", 2),
        -1,
        "F1: no offset is -1 without an error"
    );
}

#[test]
fn c1_partitions_that_do_not_exist_are_refused_and_the_others_stored() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(
        commit(&mut client, "g", "t", &[(0, 5), (9, 5)]),
        [(0, 0), (9, unknown)]
    );
    assert_eq!(
        commit(&mut client, "g", "nowhere", &[(0, 5)]),
        [(0, unknown)]
    );
    assert_eq!(fetch_offset(&mut client, "g", "t", 0), 5);
}

#[test]
fn c1_version_10_names_topics_by_id() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let topic = MetadataRequestTopic {
        name: Some("t".into()),
        topic_id: Uuid::ZERO,
    };
    let id = client
        .call(
            &MetadataRequest {
                topics: Some(vec![topic]),
                ..Default::default()
            },
            12,
        )
        .topics[0]
        .topic_id;
    let mut request = commit_request("g", "", &[(0, 7)]);
    request.topics[0].topic_id = id;
    let response = client.call(&request, 10);
    assert_eq!(response.topics[0].topic_id, id);
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
    request.topics[0].topic_id = Uuid([9; 16]);
    let response = client.call(&request, 10);
    assert_eq!(
        response.topics[0].partitions[0].error_code,
        ErrorCode::UnknownTopicId.code()
    );
    let all = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics: None,
            ..Default::default()
        }],
        ..OffsetFetchRequest::default()
    };
    let found = client.call(&all, 10).groups[0].clone();
    assert_eq!(
        (
            found.topics[0].topic_id,
            found.topics[0].partitions[0].committed_offset
        ),
        (id, 7)
    );
}

#[test]
fn f1_old_versions_ask_for_one_group() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "g", "t", &[(0, 5)]);
    let mut request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: None,
        ..Default::default()
    };
    for version in 2..=7 {
        let response = client.call(&request, version);
        assert_eq!(
            response.topics[0].partitions[0].committed_offset, 5,
            "version {version}"
        );
    }
    request.group_id = "nobody".into();
    assert!(
        client.call(&request, 7).topics.is_empty(),
        "an unknown group has no offsets and no error"
    );
}

/// A slip in a topic's name or a partition's number is not answered like a bookmark that was deleted.
#[test]
fn d1_partitions_that_do_not_exist_are_refused_and_the_others_deleted() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "g", "t", &[(0, 5)]);
    let topic = |name: &str, partitions: &[i32]| OffsetDeleteRequestTopic {
        name: Str::copy(name),
        partitions: partitions
            .iter()
            .map(|p| OffsetDeleteRequestPartition {
                partition_index: *p,
            })
            .collect(),
    };
    let mut request = OffsetDeleteRequest {
        group_id: "g".into(),
        topics: vec![topic("t", &[0, 1, -1]), topic("nowhere", &[0])],
    };
    let response = client.call(&request, 0);
    assert_eq!(response.error_code, 0);
    let codes: Vec<_> = response
        .topics
        .iter()
        .flat_map(|t| {
            t.partitions
                .iter()
                .map(|p| (&*t.name, p.partition_index, p.error_code))
        })
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(
        codes,
        [
            ("t", 0, 0),
            ("t", 1, unknown),
            ("t", -1, unknown),
            ("nowhere", 0, unknown)
        ]
    );
    assert_eq!(fetch_offset(&mut client, "g", "t", 0), -1);

    request.group_id = "nobody".into();
    let response = client.call(&request, 0);
    assert_eq!(response.error_code, ErrorCode::GroupIdNotFound.code());
    assert_eq!(response.topics, []);
}

/// D6, and the pain of a topic that comes again.
#[test]
fn d6_offsets_of_a_deleted_topic_go_with_it() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "g", "t", &[(0, 5)]);
    let topic = DeleteTopicState {
        name: Some("t".into()),
        topic_id: Uuid::ZERO,
    };
    let request = DeleteTopicsRequest {
        topics: vec![topic],
        timeout_ms: 5000,
        ..Default::default()
    };
    assert_eq!(client.call(&request, 6).responses[0].error_code, 0);
    broker.topic("t", 1, &[]);
    assert_eq!(fetch_offset(&mut client, "g", "t", 0), -1);
    let broker = broker.restart();
    assert_eq!(fetch_offset(&mut broker.client(), "g", "t", 0), -1);
}

#[test]
fn d2_a_deleted_group_is_gone_also_after_a_restart() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "g", "t", &[(0, 5)]);
    let request = DeleteGroupsRequest {
        groups_names: vec!["g".into(), "nobody".into()],
    };
    let codes: Vec<i16> = client
        .call(&request, 2)
        .results
        .iter()
        .map(|r| r.error_code)
        .collect();
    assert_eq!(codes, [0, ErrorCode::GroupIdNotFound.code()]);
    let broker = broker.restart();
    assert_eq!(fetch_offset(&mut broker.client(), "g", "t", 0), -1);
}

/// S1, S2, S4 and the headers: what is in the topic is Kafka's, and says who did it.
#[test]
fn s4_the_record_in_the_offsets_topic_is_kafkas_and_says_who_moved_the_bookmark() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    commit(&mut client, "group", "t", &[(0, 41)]);
    let all = client
        .call(
            &MetadataRequest {
                topics: None,
                ..Default::default()
            },
            12,
        )
        .topics;
    let offsets = all
        .iter()
        .find(|t| t.name.as_deref() == Some("__consumer_offsets"))
        .unwrap();
    assert!(offsets.is_internal);
    assert_eq!(offsets.partitions.len(), 50);
    let mut request = fetch_request("__consumer_offsets", 0);
    // "group".hashCode() = 98629247, modulo 50.
    request.topics[0].partitions[0].partition = 47;
    let records = records_of(&client.call(&request, 11));
    let record = records
        .iter()
        .find(|r| r.key.as_deref().is_some_and(|k| k[..2] == [0, 1]))
        .unwrap();
    let mut key = Decoder::new(record.key.clone().unwrap().slice(2..));
    let key = OffsetCommitKey::decode(&mut key, 0).unwrap();
    assert_eq!(
        (key.group.as_str(), key.topic.as_str(), key.partition),
        ("group", "t", 0)
    );
    let value = record.value.clone().unwrap();
    assert_eq!(value[..2], [0, 4], "version 4");
    let value = OffsetCommitValue::decode(&mut Decoder::new(value.slice(2..)), 4).unwrap();
    assert_eq!((value.offset, value.metadata.as_str()), (41, "m"));
    let topic_id = all
        .iter()
        .find(|t| t.name.as_deref() == Some("t"))
        .unwrap()
        .topic_id;
    assert_eq!(value.topic_id, topic_id);
    let header = |name: &str| {
        record
            .headers
            .iter()
            .find(|(k, _)| k == name)
            .and_then(|(_, v)| v.clone())
            .map(|v| String::from_utf8(v.to_vec()).unwrap())
    };
    assert_eq!(header("cw.client").as_deref(), Some("test"));
    assert_eq!(header("cw.host").as_deref(), Some("/127.0.0.1"));
}

#[test]
fn g9_before_the_coordinator_was_asked_for_it_is_not_here() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        commit(&mut client, "g", "t", &[(0, 1)]),
        [(0, ErrorCode::NotCoordinator.code())]
    );
    client.find_coordinator();
    assert_eq!(commit(&mut client, "g", "t", &[(0, 1)]), [(0, 0)]);
}

#[test]
fn many_commits_in_flight_share_their_syncs_and_are_all_kept() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    for round in 0..20 {
        let ids: Vec<i32> = (0..50)
            .map(|i| {
                client.send(
                    &commit_request(&format!("g{i}"), "t", &[(0, round * 100 + i64::from(i))]),
                    9,
                )
            })
            .collect();
        for id in ids {
            let (answered, response) = client.receive::<OffsetCommitRequest>(9);
            assert_eq!(answered, id);
            assert_eq!(response.topics[0].partitions[0].error_code, 0);
        }
    }
    let broker = broker.restart();
    let mut client = broker.client();
    for i in 0..50 {
        assert_eq!(
            fetch_offset(&mut client, &format!("g{i}"), "t", 0),
            1900 + i
        );
    }
}

#[test]
fn groups_that_fit_a_rule_or_have_their_own_word_keep_their_offsets() {
    let rules = ("offsets.retention.rules", "billing-*:-1");
    let often = ("offsets.retention.check.interval.ms", "50");
    let broker = TestBroker::with(&[rules, often]);
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let own = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: 32,
            resource_name: "own".into(),
            configs: vec![AlterableConfig {
                name: "offsets.retention.minutes".into(),
                config_operation: 0,
                value: Some("-1".into()),
            }],
        }],
        validate_only: false,
    };
    assert_eq!(client.call(&own, 1).responses[0].error_code, 0);
    // Each is to expire a millisecond after it was committed.
    for group in ["billing-eu", "own", "other"] {
        let mut request = commit_request(group, "t", &[(0, 7)]);
        request.retention_time_ms = 1;
        let response = client.call(&request, 4);
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
    }
    let began = std::time::Instant::now();
    while fetch_offset(&mut client, "other", "t", 0) != -1 {
        assert!(began.elapsed().as_secs() < 60, "it never expires");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Whatever expires has expired in one sweep over all; the next one has begun when a new group's offset is gone too.
    let mut last = commit_request("last", "t", &[(0, 7)]);
    last.retention_time_ms = 1;
    client.call(&last, 4);
    while fetch_offset(&mut client, "last", "t", 0) != -1 {
        assert!(began.elapsed().as_secs() < 60, "it never expires");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    for group in ["billing-eu", "own"] {
        assert_eq!(fetch_offset(&mut client, group, "t", 0), 7, "{group}");
    }
}
