//! Streams groups over the socket: the state machine's own rules are tested in `catchword-coordinator`.

use catchword_wire::messages::streams_group_heartbeat_request::{
    KeyValue, Subtopology, TopicInfo, Topology,
};
use catchword_wire::messages::update_features_request::FeatureUpdateKey;
use catchword_wire::messages::{
    StreamsGroupDescribeRequest, StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse,
    UpdateFeaturesRequest,
};
use catchword_wire::{ErrorCode, Str};

use crate::configs::{TOPIC, describe};
use crate::harness::{Client, TestBroker};

const SETTINGS: [(&str, &str); 2] = [
    ("group.streams.initial.rebalance.delay.ms", "0"),
    ("group.streams.assignment.interval.ms", "0"),
];

/// The first heartbeat of the one member `m` of an application that reads `topic` and keeps state for it.
pub(crate) fn joining(group: &'static str, topic: &'static str) -> StreamsGroupHeartbeatRequest {
    let changelog = TopicInfo {
        name: Str::from(format!("{group}-state-changelog")),
        topic_configs: vec![KeyValue {
            key: "cleanup.policy".into(),
            value: "compact".into(),
        }],
        ..TopicInfo::default()
    };
    StreamsGroupHeartbeatRequest {
        group_id: group.into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 60_000,
        topology: Some(Topology {
            epoch: 0,
            subtopologies: vec![Subtopology {
                subtopology_id: "0".into(),
                source_topics: vec![topic.into()],
                state_changelog_topics: vec![changelog],
                ..Subtopology::default()
            }],
        }),
        active_tasks: Some(Vec::new()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        process_id: Some("p".into()),
        ..StreamsGroupHeartbeatRequest::default()
    }
}

fn alive(epoch: i32) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: "app".into(),
        member_id: "m".into(),
        member_epoch: epoch,
        ..StreamsGroupHeartbeatRequest::default()
    }
}

fn statuses(response: &StreamsGroupHeartbeatResponse) -> Vec<(i8, &str)> {
    let statuses = response.status.iter().flatten();
    statuses
        .map(|s| (s.status_code, &*s.status_detail))
        .collect()
}

/// The member's active tasks, as the group is described.
fn described(client: &mut Client) -> Vec<i32> {
    let request = StreamsGroupDescribeRequest {
        group_ids: vec!["app".into()],
        ..StreamsGroupDescribeRequest::default()
    };
    let group = client.call(&request, 0).groups.remove(0);
    assert_eq!((group.error_code, &*group.group_state), (0, "Stable"));
    group.members[0].assignment.active_tasks[0]
        .partitions
        .clone()
}

#[test]
fn an_applications_own_topics_are_made_as_it_says_and_its_tasks_outlive_the_broker() {
    let broker = TestBroker::with(&SETTINGS);
    broker.topic("t", 3, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let first = client.call(&joining("app", "t"), 0);
    assert_eq!(first.error_code, 0, "{:?}", first.error_message);
    let missing = "Internal topics are missing: app-state-changelog";
    assert_eq!(statuses(&first), [(3, missing)]);
    let second = client.call(&alive(first.member_epoch), 0);
    assert_eq!(statuses(&second), []);
    assert_eq!(second.active_tasks.unwrap()[0].partitions, [0, 1, 2]);
    let policy = describe(&mut client, TOPIC, "app-state-changelog", "cleanup.policy");
    assert_eq!(policy.value, Some("compact".into()));
    let after = broker.on_a_copy();
    let mut client = after.client();
    client.find_coordinator();
    assert_eq!(described(&mut client), [0, 1, 2]);
    let third = client.call(&alive(second.member_epoch), 0);
    assert_eq!((third.error_code, third.active_tasks), (0, None));
}

#[test]
fn why_a_topic_cannot_be_made_is_told_to_the_member() {
    let broker = TestBroker::with(&SETTINGS);
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let mut request = joining("app", "t");
    let topology = request.topology.as_mut().unwrap();
    topology.subtopologies[0].state_changelog_topics[0].replication_factor = 3;
    let response = client.call(&request, 0);
    let [(3, detail)] = statuses(&response)[..] else {
        panic!("{:?}", statuses(&response));
    };
    assert!(
        detail.contains("Creation failed: app-state-changelog (Replication factor: 3"),
        "{detail}"
    );
}

#[test]
fn names_that_no_topic_of_an_application_can_have_are_refused() {
    let broker = TestBroker::with(&SETTINGS);
    let mut client = broker.client();
    client.find_coordinator();
    for (topic, why) in [("__consumer_offsets", "internal"), ("no spaces", "valid")] {
        let response = client.call(&joining("app", topic), 0);
        assert_eq!(
            response.error_code,
            ErrorCode::StreamsInvalidTopology.code()
        );
        let told = response.error_message.unwrap();
        assert!(told.contains(topic) && told.contains(why), "{told}");
    }
}

#[test]
fn a_cluster_without_the_feature_serves_no_streams_groups() {
    let broker = TestBroker::with(&SETTINGS);
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.find_coordinator();
    let off = UpdateFeaturesRequest {
        timeout_ms: 10_000,
        feature_updates: vec![FeatureUpdateKey {
            feature: "streams.version".into(),
            max_version_level: 0,
            upgrade_type: 2,
            ..FeatureUpdateKey::default()
        }],
        ..UpdateFeaturesRequest::default()
    };
    assert_eq!(client.call(&off, 1).error_code, 0);
    let refused = client.call(&joining("app", "t"), 0).error_code;
    assert_eq!(refused, ErrorCode::UnsupportedVersion.code());
}
