//! What administrators ask of a broker that has no replicas and no features but one.

use catchword_wire::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use catchword_wire::messages::describe_quorum_request::{PartitionData, TopicData};
use catchword_wire::messages::elect_leaders_request::TopicPartitions;
use catchword_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use catchword_wire::messages::update_features_request::FeatureUpdateKey;
use catchword_wire::messages::{
    AlterPartitionReassignmentsRequest, ApiVersionsRequest, ConsumerGroupHeartbeatRequest,
    DescribeQuorumRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest,
    ListConfigResourcesRequest, ListPartitionReassignmentsRequest, ShareGroupHeartbeatRequest,
    UpdateFeaturesRequest,
};
use catchword_wire::{ErrorCode, Str};

use crate::harness::{Client, TestBroker};

#[test]
fn an_election_is_never_needed_and_unknown_partitions_are_said_to_be_so() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let asked = |topic: &'static str, partitions: &[i32]| TopicPartitions {
        topic: topic.into(),
        partitions: partitions.to_vec(),
    };
    let request = ElectLeadersRequest {
        topic_partitions: Some(vec![asked("t", &[0, 1]), asked("u", &[0])]),
        ..ElectLeadersRequest::default()
    };
    let response = broker.client().call(&request, 2);
    let codes = response.replica_election_results.iter();
    let codes: Vec<_> = codes
        .flat_map(|t| t.partition_result.iter().map(|p| p.error_code))
        .collect();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    assert_eq!(
        codes,
        [ErrorCode::ElectionNotNeeded.code(), unknown, unknown]
    );
}

#[test]
fn a_partition_can_be_moved_only_to_where_it_is() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let mut code = |partition_index: i32, replicas: Option<Vec<i32>>| {
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name: "t".into(),
                partitions: vec![ReassignablePartition {
                    partition_index,
                    replicas,
                }],
            }],
            ..AlterPartitionReassignmentsRequest::default()
        };
        client.call(&request, 1).responses[0].partitions[0].error_code
    };
    let invalid = ErrorCode::InvalidReplicaAssignment.code();
    assert_eq!(code(0, Some(vec![1])), 0);
    assert_eq!(code(0, Some(vec![2])), invalid);
    assert_eq!(code(0, Some(vec![1, 1])), invalid);
    assert_eq!(code(0, Some(vec![])), invalid);
    assert_eq!(code(0, None), ErrorCode::NoReassignmentInProgress.code());
    assert_eq!(
        code(1, Some(vec![1])),
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let listed = client.call(&ListPartitionReassignmentsRequest::default(), 0);
    assert_eq!((listed.error_code, listed.topics.len()), (0, 0));
}

fn quorum_of(topic: &'static str, partitions: &[i32]) -> DescribeQuorumRequest {
    let partition = |index: &i32| PartitionData {
        partition_index: *index,
    };
    DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: topic.into(),
            partitions: partitions.iter().map(partition).collect(),
        }],
    }
}

#[test]
fn the_quorum_of_the_metadata_log_is_this_node_which_has_all_of_it() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let mut described = || {
        let response = client.call(&quorum_of("__cluster_metadata", &[0]), 2);
        let nodes: Vec<_> = response.nodes.iter().map(|node| node.node_id).collect();
        assert_eq!((response.error_code, nodes), (0, vec![1]));
        response.topics[0].partitions[0].clone()
    };
    let before = described();
    assert_eq!((before.error_code, before.leader_id), (0, 1));
    assert_eq!(before.observers, []);
    let [voter] = &before.current_voters[..] else {
        panic!("it votes alone: {before:?}");
    };
    assert_eq!(
        (voter.replica_id, voter.log_end_offset),
        (1, before.high_watermark)
    );
    assert!(voter.last_caught_up_timestamp > 0);
    assert_eq!(voter.last_caught_up_timestamp, voter.last_fetch_timestamp);
    broker.topic("t", 1, &[]);
    assert!(described().high_watermark > before.high_watermark);
}

#[test]
fn nothing_but_the_metadata_log_has_a_quorum() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    for request in [
        quorum_of("t", &[0]),
        quorum_of("__cluster_metadata", &[1]),
        quorum_of("__cluster_metadata", &[0, 1]),
    ] {
        let response = client.call(&request, 2);
        let answered = response.topics[0].partitions.iter();
        let codes: Vec<_> = answered.map(|p| (p.error_code, p.leader_id)).collect();
        assert!(codes.iter().all(|code| *code == (unknown, 0)), "{codes:?}");
        assert_eq!(codes.len(), request.topics[0].partitions.len());
    }
}

fn set(client: &mut Client, kind: i8, name: &str, key: &str, value: &str) -> i16 {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind,
            resource_name: Str::copy(name),
            configs: vec![AlterableConfig {
                name: Str::copy(key),
                config_operation: 0,
                value: Some(Str::copy(value)),
            }],
        }],
        validate_only: false,
    };
    client.call(&request, 1).responses[0].error_code
}

#[test]
fn resources_with_settings_are_listed_by_type_also_after_a_restart() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        set(&mut client, 32, "g", "share.auto.offset.reset", "earliest"),
        0
    );
    assert_eq!(set(&mut client, 16, "m", "match", "client_id=app-.*"), 0);
    assert_ne!(set(&mut client, 16, "bad", "match", "colour=red"), 0);
    assert_ne!(
        set(
            &mut client,
            32,
            "bad",
            "consumer.session.timeout.ms",
            "44999"
        ),
        0
    );
    let broker = broker.restart();
    let mut client = broker.client();
    let mut listed = |types: &[i8], version: i16| {
        let request = ListConfigResourcesRequest {
            resource_types: types.to_vec(),
        };
        let response = client.call(&request, version);
        let named = response.config_resources.iter();
        let named = named.map(|r| (r.resource_type, r.resource_name.to_string()));
        (response.error_code, named.collect::<Vec<_>>())
    };
    let named = |kind: i8, name: &str| (kind, name.to_owned());
    assert_eq!(listed(&[], 0), (0, vec![named(16, "m")]));
    let all = [
        named(32, "g"),
        named(16, "m"),
        named(8, "1"),
        named(4, "1"),
        named(2, "t"),
    ];
    assert_eq!(listed(&[], 1), (0, all.to_vec()));
    assert_eq!(listed(&[32], 1), (0, vec![named(32, "g")]));
    assert_eq!(listed(&[3], 1).0, ErrorCode::UnsupportedVersion.code());
}

#[test]
fn what_is_set_on_a_group_holds_for_its_members() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let keys = [
        ("g", "consumer.heartbeat.interval.ms"),
        ("s", "share.heartbeat.interval.ms"),
        ("app", "streams.heartbeat.interval.ms"),
    ];
    for (group, key) in keys {
        assert_eq!(set(&mut client, 32, group, key, "6000"), 0, "{key}");
    }
    let consumer = |group: &'static str| ConsumerGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..Default::default()
    };
    let told = [consumer("g"), consumer("other")];
    let told = told.map(|request| client.call(&request, 1).heartbeat_interval_ms);
    assert_eq!(told, [6000, 5000]);
    let share = ShareGroupHeartbeatRequest {
        group_id: "s".into(),
        member_id: "m".into(),
        subscribed_topic_names: Some(vec!["t".into()]),
        ..Default::default()
    };
    assert_eq!(client.call(&share, 1).heartbeat_interval_ms, 6000);
    let streams = crate::streams::joining("app", "t");
    assert_eq!(client.call(&streams, 0).heartbeat_interval_ms, 6000);
}

#[test]
fn features_are_told_and_levels_that_are_not_supported_refused() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let versions = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
    };
    let told = client.call(&versions, 4);
    let finalized = told.finalized_features.iter();
    let finalized: Vec<_> = finalized
        .map(|f| (f.name.as_str(), f.max_version_level))
        .collect();
    let all = [
        ("metadata.version", 30),
        ("group.version", 1),
        ("transaction.version", 2),
        ("share.version", 1),
        ("streams.version", 1),
    ];
    assert_eq!(finalized, all);
    assert!(told.finalized_features_epoch >= 0);
    let mut update = |feature: &'static str, max_version_level: i16| {
        let request = UpdateFeaturesRequest {
            feature_updates: vec![FeatureUpdateKey {
                feature: feature.into(),
                max_version_level,
                ..FeatureUpdateKey::default()
            }],
            ..UpdateFeaturesRequest::default()
        };
        client.call(&request, 2).error_code
    };
    let invalid = ErrorCode::InvalidUpdateVersion.code();
    assert_eq!(update("metadata.version", 30), 0);
    assert_eq!(update("metadata.version", 31), invalid);
    assert_eq!(update("no.such", 1), invalid);
    let after = client.call(&versions, 4);
    assert!(after.finalized_features_epoch > told.finalized_features_epoch);
}
