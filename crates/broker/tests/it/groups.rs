//! Groups over the socket: the shards' own rules are tested in `catchword-coordinator`.

use catchword_wire::messages::create_partitions_request::CreatePartitionsTopic;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use catchword_wire::messages::{
    ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse, CreatePartitionsRequest, DescribeGroupsRequest,
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest,
    SyncGroupRequest,
};
use catchword_wire::{ErrorCode, Str};

use crate::harness::{Client, TestBroker, now_ms, wait_until};
use crate::plane::get;

fn join_request(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: Str::copy(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: Str::copy(member),
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: bytes::Bytes::from_static(b"m"),
        }],
        ..JoinGroupRequest::default()
    }
}

/// Joins with the two steps of KIP-394.
fn join(client: &mut Client, group: &str) -> JoinGroupResponse {
    let first = client.call(&join_request(group, ""), 9);
    assert_eq!(first.error_code, ErrorCode::MemberIdRequired.code(), "G2");
    client.call(&join_request(group, &first.member_id), 9)
}

fn sync(
    client: &mut Client,
    group: &str,
    joined: &JoinGroupResponse,
    assignment: &'static [u8],
) -> (i16, bytes::Bytes) {
    let assign = |member: &Str| SyncGroupRequestAssignment {
        member_id: member.clone(),
        assignment: bytes::Bytes::from_static(assignment),
    };
    let request = SyncGroupRequest {
        group_id: Str::copy(group),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        assignments: joined
            .members
            .iter()
            .map(|m| assign(&m.member_id))
            .collect(),
        ..SyncGroupRequest::default()
    };
    let response = client.call(&request, 3);
    (response.error_code, response.assignment)
}

fn heartbeat(client: &mut Client, group: &str, joined: &JoinGroupResponse) -> i16 {
    let request = HeartbeatRequest {
        group_id: Str::copy(group),
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..HeartbeatRequest::default()
    };
    client.call(&request, 4).error_code
}

#[test]
fn a_member_joins_syncs_beats_is_described_and_leaves() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.find_coordinator();
    let joined = join(&mut client, "g");
    assert_eq!((joined.error_code, joined.generation_id), (0, 1));
    assert_eq!(joined.leader, joined.member_id);
    assert_eq!(
        sync(&mut client, "g", &joined, b"all"),
        (0, bytes::Bytes::from_static(b"all"))
    );
    assert_eq!(heartbeat(&mut client, "g", &joined), 0);
    let request = DescribeGroupsRequest {
        groups: vec!["g".into()],
        include_authorized_operations: true,
    };
    let group = client.call(&request, 5).groups[0].clone();
    assert_eq!(
        (group.group_state.as_str(), group.members.len()),
        ("Stable", 1)
    );
    assert_eq!(group.members[0].client_host, "/127.0.0.1");
    let listed = client.call(
        &ListGroupsRequest {
            states_filter: vec!["Stable".into()],
            ..Default::default()
        },
        5,
    );
    assert_eq!(
        listed
            .groups
            .iter()
            .map(|g| g.group_id.as_str())
            .collect::<Vec<_>>(),
        ["g"]
    );
    let leave = LeaveGroupRequest {
        group_id: "g".into(),
        members: vec![MemberIdentity {
            member_id: joined.member_id.clone(),
            ..Default::default()
        }],
        ..LeaveGroupRequest::default()
    };
    assert_eq!(client.call(&leave, 5).error_code, 0);
    assert_eq!(
        heartbeat(&mut client, "g", &joined),
        ErrorCode::UnknownMemberId.code()
    );
}

#[test]
fn a_second_member_brings_a_rebalance_and_the_first_one_hears_of_it() {
    let broker = TestBroker::start();
    let (mut first, mut second) = (broker.client(), broker.client());
    first.find_coordinator();
    let one = join(&mut first, "g");
    sync(&mut first, "g", &one, b"all");
    let id = second.call(&join_request("g", ""), 9).member_id;
    second.send(&join_request("g", &id), 9);
    let mut code = 0;
    for _ in 0..100 {
        code = heartbeat(&mut first, "g", &one);
        if code != 0 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(code, ErrorCode::RebalanceInProgress.code(), "G6");
    let one = first.call(&join_request("g", &one.member_id), 9);
    let (_, two) = second.receive::<JoinGroupRequest>(9);
    assert_eq!((one.generation_id, two.generation_id), (2, 2));
    assert_eq!(
        one.members.len() + two.members.len(),
        2,
        "only the leader is told the members"
    );
}

/// A member that hangs holds up its group: the list, the group's page and the gauges name it, until it has come.
#[test]
fn whom_a_rebalance_waits_for_is_told_by_the_api_and_the_gauges() {
    let broker = TestBroker::start();
    let http = broker.http.unwrap();
    let (mut first, mut second) = (broker.client(), broker.client());
    first.find_coordinator();
    // So patient that it is still waited for on the slowest machine.
    let patient = |member: &str| JoinGroupRequest {
        session_timeout_ms: 600_000,
        rebalance_timeout_ms: 600_000,
        ..join_request("g", member)
    };
    let began_ms = now_ms();
    let id = first.call(&patient(""), 9).member_id;
    let one = first.call(&patient(&id), 9);
    sync(&mut first, "g", &one, b"all");
    let told = |path: &str| -> serde_json::Value {
        let (status, body) = get(http, path);
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let awaited = || told("/v1/groups/g")["awaited"].clone();
    assert_eq!(awaited(), serde_json::json!([]));
    let id = second.call(&patient(""), 9).member_id;
    second.send(&patient(&id), 9);
    wait_until("it is told that the first is awaited", || {
        awaited()[0]["member_id"] == one.member_id.as_str()
    });
    let hangs = awaited()[0].clone();
    assert_eq!(hangs["what"], "rejoin");
    let time = |name: &str| hangs[name].as_i64().unwrap();
    let (since_ms, until_ms) = (time("since_ms"), time("until_ms"));
    assert!((began_ms..=now_ms()).contains(&since_ms), "{hangs}");
    assert_eq!(until_ms - since_ms, 600_000, "the rebalance timeout");
    assert_eq!(told("/v1/groups")["groups"][0]["awaited"][0], hangs);
    let gauge = |name: &str| {
        let (_, metrics) = get(http, "/metrics");
        let line = format!("catchword_consumergroup_{name}{{consumergroup=\"g\"}} ");
        let value = metrics.lines().find_map(|own| own.strip_prefix(&line));
        let value = value.unwrap_or_else(|| panic!("no {name}: {metrics}"));
        value.parse::<i64>().unwrap()
    };
    assert_eq!(gauge("awaited_members"), 1);
    wait_until("the gauge counts the seconds", || {
        gauge("awaited_seconds") >= 1
    });
    first.call(&patient(&one.member_id), 9);
    second.receive::<JoinGroupRequest>(9);
    let awaited = awaited();
    let steps = awaited.as_array().unwrap().iter();
    let steps: Vec<_> = steps.map(|member| member["what"].clone()).collect();
    assert!(
        steps.contains(&"assign".into()) && !steps.contains(&"rejoin".into()),
        "it has come, and another step is awaited: {awaited}"
    );
}

#[test]
fn a_group_goes_on_after_a_restart_of_the_broker_without_a_rebalance() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.find_coordinator();
    let joined = join(&mut client, "g");
    sync(&mut client, "g", &joined, b"all");
    let broker = broker.restart();
    let mut client = broker.client();
    assert_eq!(
        heartbeat(&mut client, "g", &joined),
        0,
        "member and generation are known"
    );
    // A heartbeat is answered well while the group is still being loaded; all else is asked for again.
    let mut synced = sync(&mut client, "g", &joined, b"");
    for _ in 0..100 {
        if synced.0 != ErrorCode::CoordinatorLoadInProgress.code() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        synced = sync(&mut client, "g", &joined, b"");
    }
    assert_eq!(synced, (0, bytes::Bytes::from_static(b"all")));
}

#[test]
fn a_member_that_is_silent_for_too_long_is_gone() {
    let broker = TestBroker::with(&[("group.min.session.timeout.ms", "100")]);
    let mut client = broker.client();
    client.find_coordinator();
    let mut request = join_request("g", "");
    request.session_timeout_ms = 300;
    let id = client.call(&request, 9).member_id;
    request.member_id = id;
    let joined = client.call(&request, 9);
    sync(&mut client, "g", &joined, b"all");
    std::thread::sleep(std::time::Duration::from_millis(900));
    assert_eq!(
        heartbeat(&mut client, "g", &joined),
        ErrorCode::UnknownMemberId.code()
    );
}

/// A heartbeat that must succeed.
fn beat(
    client: &mut Client,
    request: &ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let response = client.call(request, 1);
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    response
}

#[test]
fn a_group_that_is_no_consumer_group_is_described_by_the_reason() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.find_coordinator();
    client.call(&join_request("classic", ""), 3);
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec!["missing".into(), "classic".into()],
        ..ConsumerGroupDescribeRequest::default()
    };
    let described = client.call(&request, 1);
    let told = |of: usize| {
        let group = &described.groups[of];
        (
            ErrorCode::from_code(group.error_code),
            group.error_message.as_deref().unwrap_or_default(),
        )
    };
    let unknown = ErrorCode::GroupIdNotFound;
    assert_eq!(told(0), (unknown, "Group missing not found."));
    assert_eq!(told(1), (unknown, "Group classic is not a consumer group."));
}

#[test]
fn a_consumer_group_follows_its_topic_and_clients_are_told_that_there_are_such_groups() {
    let broker = TestBroker::with(&[("group.consumer.assignment.interval.ms", "0")]);
    let mut client = broker.client();
    let features = client.call(
        &ApiVersionsRequest {
            client_software_name: "test".into(),
            client_software_version: "1".into(),
        },
        4,
    );
    let version = features
        .finalized_features
        .iter()
        .find(|f| f.name == "group.version");
    assert_eq!(version.map(|f| f.max_version_level), Some(1));
    broker.topic("t", 2, &[]);
    client.find_coordinator();
    let joining = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let count = |response: &ConsumerGroupHeartbeatResponse| {
        let topics = &response.assignment.as_ref()?.topic_partitions;
        Some(
            topics
                .iter()
                .map(|topic| topic.partitions.len())
                .sum::<usize>(),
        )
    };
    let joined = beat(&mut client, &joining);
    assert_eq!(count(&joined), Some(2));
    let described = client.call(
        &ConsumerGroupDescribeRequest {
            group_ids: vec!["g".into()],
            include_authorized_operations: true,
        },
        1,
    );
    let group = &described.groups[0];
    assert_eq!(group.group_state, "Stable");
    assert_eq!(
        group.members[0].assignment.topic_partitions[0].topic_name,
        "t"
    );
    assert!(group.authorized_operations > 0);
    let more = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "t".into(),
            count: 3,
            assignments: None,
        }],
        ..CreatePartitionsRequest::default()
    };
    assert_eq!(client.call(&more, 3).results[0].error_code, 0);
    let alive = ConsumerGroupHeartbeatRequest {
        group_id: "g".into(),
        member_id: "m".into(),
        member_epoch: joined.member_epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    };
    let grown = beat(&mut client, &alive);
    assert_eq!(
        (grown.member_epoch, count(&grown)),
        (joined.member_epoch + 1, Some(3))
    );
}
