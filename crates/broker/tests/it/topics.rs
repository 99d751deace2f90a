//! Topics created, enlarged, described and deleted.

use catchword_wire::messages::create_partitions_request::CreatePartitionsTopic;
use catchword_wire::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use catchword_wire::messages::delete_topics_request::DeleteTopicState;
use catchword_wire::messages::describe_topic_partitions_request::TopicRequest;
use catchword_wire::messages::metadata_request::MetadataRequestTopic;
use catchword_wire::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
    DescribeLogDirsRequest, DescribeTopicPartitionsRequest, MetadataRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::harness::{Client, TestBroker, values};

fn create(client: &mut Client, topic: CreatableTopic, validate_only: bool) -> (i16, String) {
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 5000,
        validate_only,
    };
    let result = client.call(&request, 7).topics[0].clone();
    (
        result.error_code,
        result.error_message.unwrap_or_default().to_string(),
    )
}

fn plain(name: &str) -> CreatableTopic {
    CreatableTopic {
        name: Str::copy(name),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    }
}

fn named(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic {
        name: Some(Str::copy(name)),
        topic_id: Uuid::ZERO,
    };
    MetadataRequest {
        topics: Some(vec![topic]),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

fn delete(client: &mut Client, name: &str) -> i16 {
    let topic = DeleteTopicState {
        name: Some(Str::copy(name)),
        topic_id: Uuid::ZERO,
    };
    let request = DeleteTopicsRequest {
        topics: vec![topic],
        timeout_ms: 5000,
        ..Default::default()
    };
    client.call(&request, 6).responses[0].error_code
}

#[test]
fn what_cannot_be_created_is_refused_with_kafkas_code() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let mut refused = |topic: CreatableTopic| create(&mut client, topic, false).0;
    assert_eq!(
        refused(plain("a b")),
        ErrorCode::InvalidTopicException.code()
    );
    assert_eq!(
        refused(CreatableTopic {
            num_partitions: 0,
            ..plain("t")
        }),
        ErrorCode::InvalidPartitions.code()
    );
    assert_eq!(
        refused(CreatableTopic {
            replication_factor: 3,
            ..plain("t")
        }),
        ErrorCode::InvalidReplicationFactor.code()
    );
    let config = |k: &str, v: Option<&str>| CreatableTopicConfig {
        name: Str::copy(k),
        value: v.map(Str::copy),
    };
    let with = |c| CreatableTopic {
        configs: vec![c],
        ..plain("t")
    };
    assert_eq!(
        refused(with(config("no.such.key", Some("1")))),
        ErrorCode::InvalidConfig.code()
    );
    assert_eq!(
        refused(with(config("retention.ms", Some("soon")))),
        ErrorCode::InvalidConfig.code()
    );
    assert_eq!(
        refused(with(config("retention.ms", None))),
        ErrorCode::InvalidConfig.code()
    );
    let assigned = |to: Vec<i32>| CreatableTopic {
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![CreatableReplicaAssignment {
            partition_index: 0,
            broker_ids: to,
        }],
        ..plain("t")
    };
    assert_eq!(
        refused(assigned(vec![7])),
        ErrorCode::InvalidReplicaAssignment.code()
    );
    assert_eq!(refused(assigned(vec![1])), 0);
    assert_eq!(refused(plain("t")), ErrorCode::TopicAlreadyExists.code());
    assert_eq!(refused(plain("a.b")), 0);
    assert_eq!(
        refused(plain("a_b")),
        ErrorCode::InvalidTopicException.code(),
        "they collide in metrics"
    );
}

#[test]
fn validate_only_creates_nothing_and_a_name_twice_is_refused() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    assert_eq!(create(&mut client, plain("t"), true).0, 0);
    assert_eq!(
        client.call(&named("t"), 12).topics[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let twice = CreateTopicsRequest {
        topics: vec![plain("u"), plain("u")],
        timeout_ms: 5000,
        validate_only: false,
    };
    let results = client.call(&twice, 7).topics;
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].error_code, ErrorCode::InvalidRequest.code());
}

#[test]
fn a_topic_that_is_asked_for_is_created_where_that_is_allowed() {
    let broker = TestBroker::with(&[("num.partitions", "3")]);
    let mut client = broker.client();
    assert_eq!(
        client.call(&named("t"), 12).topics[0].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let asking = MetadataRequest {
        allow_auto_topic_creation: true,
        ..named("t")
    };
    let topic = client.call(&asking, 12).topics[0].clone();
    assert_eq!((topic.error_code, topic.partitions.len()), (0, 3));
    let strict = TestBroker::with(&[("auto.create.topics.enable", "false")]);
    let topic = strict.client().call(&asking, 12).topics[0].clone();
    assert_eq!(topic.error_code, ErrorCode::UnknownTopicOrPartition.code());
}

#[test]
fn partitions_can_be_added_and_never_taken_away() {
    let broker = TestBroker::start();
    broker.topic("t", 2, &[]);
    let mut client = broker.client();
    let mut grow = |count| {
        let topics = vec![CreatePartitionsTopic {
            name: "t".into(),
            count,
            assignments: None,
        }];
        let request = CreatePartitionsRequest {
            topics,
            timeout_ms: 5000,
            validate_only: false,
        };
        client.call(&request, 3).results[0].error_code
    };
    assert_eq!(grow(2), ErrorCode::InvalidPartitions.code());
    assert_eq!(grow(1), ErrorCode::InvalidPartitions.code());
    assert_eq!(grow(5), 0);
    let broker = broker.restart();
    assert_eq!(
        broker.client().call(&named("t"), 12).topics[0]
            .partitions
            .len(),
        5
    );
}

#[test]
fn a_topic_that_comes_again_is_empty_and_has_another_id() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[("retention.ms", "12345")]);
    let mut client = broker.client();
    client.produce("t", &["old"]);
    let old = client.call(&named("t"), 12).topics[0].topic_id;
    assert_eq!(delete(&mut client, "t"), 0);
    assert_eq!(
        delete(&mut client, "t"),
        ErrorCode::UnknownTopicOrPartition.code()
    );
    broker.topic("t", 1, &[]);
    let new = client.call(&named("t"), 12).topics[0].topic_id;
    assert_ne!(old, new);
    assert!(client.read("t", 0).is_empty());
    client.produce("t", &["new"]);
    let broker = broker.restart();
    let mut client = broker.client();
    assert_eq!(client.call(&named("t"), 12).topics[0].topic_id, new);
    assert_eq!(values(&client.read("t", 0)), ["new"]);
}

#[test]
fn an_id_counts_whatever_name_comes_with_it() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let topic_id = client.call(&named("t"), 12).topics[0].topic_id;
    for name in [None, Some(Str::EMPTY)] {
        let mut ask = |topic_id| {
            let topic = MetadataRequestTopic {
                name: name.clone(),
                topic_id,
            };
            let request = MetadataRequest {
                topics: Some(vec![topic]),
                ..Default::default()
            };
            client.call(&request, 12).topics[0].clone()
        };
        let found = ask(topic_id);
        assert_eq!((found.error_code, found.name), (0, Some("t".into())));
        let unknown = ask(Uuid([7; 16]));
        assert_eq!(unknown.error_code, ErrorCode::UnknownTopicId.code());
        assert_eq!(unknown.name, None);
    }
}

#[test]
fn the_brokers_own_topics_cannot_be_deleted() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    client.find_coordinator();
    assert_eq!(
        delete(&mut client, "__consumer_offsets"),
        ErrorCode::InvalidTopicException.code()
    );
}

#[test]
fn deletion_can_be_switched_off() {
    let broker = TestBroker::with(&[("delete.topic.enable", "false")]);
    broker.topic("t", 1, &[]);
    assert_eq!(
        delete(&mut broker.client(), "t"),
        ErrorCode::TopicDeletionDisabled.code()
    );
}

#[test]
fn many_partitions_are_described_page_by_page() {
    let broker = TestBroker::start();
    broker.topic("a", 3, &[]);
    broker.topic("b", 4, &[]);
    let mut client = broker.client();
    let mut request = DescribeTopicPartitionsRequest {
        topics: ["a", "b", "nowhere"]
            .map(|name| TopicRequest { name: name.into() })
            .to_vec(),
        response_partition_limit: 5,
        cursor: None,
    };
    let first = client.call(&request, 0);
    let sizes: Vec<usize> = first.topics.iter().map(|t| t.partitions.len()).collect();
    assert_eq!(sizes, [3, 2]);
    let next = first.next_cursor.expect("there is more");
    assert_eq!((next.topic_name.as_str(), next.partition_index), ("b", 2));
    request.cursor = Some(
        catchword_wire::messages::describe_topic_partitions_request::Cursor {
            topic_name: next.topic_name,
            partition_index: next.partition_index,
        },
    );
    let second = client.call(&request, 0);
    assert_eq!(
        second.topics[0]
            .partitions
            .iter()
            .map(|p| p.partition_index)
            .collect::<Vec<_>>(),
        [2, 3]
    );
    assert_eq!(
        second.topics[1].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    assert!(second.next_cursor.is_none());
}

#[test]
fn the_cluster_and_its_directory_are_described() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    client.produce("t", &["a"]);
    let request = DescribeClusterRequest {
        endpoint_type: 1,
        ..DescribeClusterRequest::default()
    };
    let cluster = client.call(&request, 2);
    assert_eq!(cluster.cluster_id.len(), 22);
    assert_eq!(cluster.brokers[0].port, i32::from(broker.address.port()));
    let dirs = client.call(&DescribeLogDirsRequest { topics: None }, 4);
    let topic = dirs.results[0]
        .topics
        .iter()
        .find(|t| t.name == "t")
        .unwrap();
    assert!(topic.partitions[0].partition_size > 60);
    assert!(dirs.results[0].total_bytes > 0);
}
