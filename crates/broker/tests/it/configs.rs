//! Settings described and changed.

use catchword_wire::messages::alter_configs_request as full;
use catchword_wire::messages::describe_configs_request::DescribeConfigsResource;
use catchword_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use catchword_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use catchword_wire::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
};
use catchword_wire::{ErrorCode, Str};

use crate::harness::{Client, TestBroker};

pub(crate) const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(crate) fn describe(
    client: &mut Client,
    kind: i8,
    name: &str,
    key: &str,
) -> DescribeConfigsResourceResult {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: Str::copy(name),
            configuration_keys: Some(vec![Str::copy(key)]),
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    let result = client.call(&request, 4).results[0].clone();
    assert_eq!(result.error_code, 0, "{:?}", result.error_message);
    result.configs[0].clone()
}

fn alter(
    client: &mut Client,
    kind: i8,
    name: &str,
    operation: i8,
    key: &str,
    value: Option<&str>,
) -> i16 {
    let config = AlterableConfig {
        name: Str::copy(key),
        config_operation: operation,
        value: value.map(Str::copy),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: kind,
            resource_name: Str::copy(name),
            configs: vec![config],
        }],
        validate_only: false,
    };
    client.call(&request, 1).responses[0].error_code
}

#[test]
fn a_topics_setting_is_changed_described_kept_and_taken_back() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    let before = describe(&mut client, TOPIC, "t", "retention.ms");
    assert_eq!(
        (before.value.as_deref(), before.config_source),
        (Some("604800000"), 5)
    );
    assert!(before.documentation.is_some_and(|d| !d.is_empty()));
    assert_eq!(
        alter(&mut client, TOPIC, "t", SET, "retention.ms", Some("1000")),
        0
    );
    let broker = broker.restart();
    let mut client = broker.client();
    let set = describe(&mut client, TOPIC, "t", "retention.ms");
    assert_eq!((set.value.as_deref(), set.config_source), (Some("1000"), 1));
    assert_eq!(
        alter(&mut client, TOPIC, "t", DELETE, "retention.ms", None),
        0
    );
    assert_eq!(
        describe(&mut client, TOPIC, "t", "retention.ms").config_source,
        5
    );
}

#[test]
fn lists_are_added_to_and_taken_from() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        alter(
            &mut client,
            TOPIC,
            "t",
            APPEND,
            "cleanup.policy",
            Some("compact")
        ),
        0
    );
    assert_eq!(
        describe(&mut client, TOPIC, "t", "cleanup.policy")
            .value
            .as_deref(),
        Some("delete,compact")
    );
    assert_eq!(
        alter(
            &mut client,
            TOPIC,
            "t",
            SUBTRACT,
            "cleanup.policy",
            Some("delete")
        ),
        0
    );
    assert_eq!(
        describe(&mut client, TOPIC, "t", "cleanup.policy")
            .value
            .as_deref(),
        Some("compact")
    );
    let refused = alter(&mut client, TOPIC, "t", APPEND, "retention.ms", Some("1"));
    assert_eq!(refused, ErrorCode::InvalidConfig.code());
}

#[test]
fn what_does_not_do_is_refused_and_changes_nothing() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        alter(&mut client, TOPIC, "t", SET, "retention.ms", Some("x")),
        ErrorCode::InvalidConfig.code()
    );
    assert_eq!(
        alter(&mut client, TOPIC, "t", SET, "no.such", Some("1")),
        ErrorCode::InvalidConfig.code()
    );
    assert_eq!(
        alter(&mut client, TOPIC, "u", SET, "retention.ms", Some("1")),
        ErrorCode::UnknownTopicOrPartition.code()
    );
    assert_eq!(
        alter(&mut client, BROKER, "1", SET, "num.partitions", Some("9")),
        ErrorCode::InvalidConfig.code()
    );
    assert_eq!(
        alter(
            &mut client,
            BROKER,
            "7",
            SET,
            "message.max.bytes",
            Some("9")
        ),
        ErrorCode::InvalidRequest.code()
    );
    assert_eq!(
        describe(&mut client, TOPIC, "t", "retention.ms").config_source,
        5
    );
}

#[test]
fn a_brokers_setting_reaches_its_topics_at_once() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[]);
    let mut client = broker.client();
    assert_eq!(
        alter(
            &mut client,
            BROKER,
            "",
            SET,
            "message.max.bytes",
            Some("200")
        ),
        0
    );
    let inherited = describe(&mut client, TOPIC, "t", "max.message.bytes");
    assert_eq!(
        (inherited.value.as_deref(), inherited.config_source),
        (Some("200"), 3)
    );
    let refused = client.produce("t", &[&"x".repeat(300)]);
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
}

/// What one broker has set for itself does not hide what is set for all.
#[test]
fn the_default_for_all_brokers_and_a_brokers_own_setting_are_described_apart() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let key = "message.max.bytes";
    assert_eq!(alter(&mut client, BROKER, "1", SET, key, Some("300")), 0);
    assert_eq!(alter(&mut client, BROKER, "", SET, key, Some("200")), 0);
    let shown = |c: DescribeConfigsResourceResult| (c.value, c.config_source);
    let (for_all, own) = (
        describe(&mut client, BROKER, "", key),
        describe(&mut client, BROKER, "1", key),
    );
    assert_eq!(shown(for_all), (Some("200".into()), 3));
    assert_eq!(shown(own), (Some("300".into()), 2));
}

#[test]
fn a_groups_setting_is_the_groups_alone() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    // A group may be named as the broker is numbered.
    assert_eq!(
        alter(
            &mut client,
            GROUP,
            "1",
            SET,
            "consumer.session.timeout.ms",
            Some("50000")
        ),
        0
    );
    let set = describe(&mut client, GROUP, "1", "consumer.session.timeout.ms");
    assert_eq!(
        (set.value.as_deref(), set.config_source),
        (Some("50000"), 8)
    );
    let refused = alter(&mut client, GROUP, "1", SET, "message.max.bytes", Some("9"));
    assert_eq!(refused, ErrorCode::InvalidConfig.code());
    let refused = alter(
        &mut client,
        GROUP,
        "1",
        SET,
        "consumer.session.timeout.ms",
        Some("0"),
    );
    assert_eq!(refused, ErrorCode::InvalidConfig.code());
}

#[test]
fn the_old_form_takes_back_what_it_does_not_name() {
    let broker = TestBroker::start();
    broker.topic("t", 1, &[("retention.ms", "1000"), ("segment.ms", "2000")]);
    let mut client = broker.client();
    let request = AlterConfigsRequest {
        resources: vec![full::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t".into(),
            configs: vec![full::AlterableConfig {
                name: "segment.ms".into(),
                value: Some("3000".into()),
            }],
        }],
        validate_only: false,
    };
    assert_eq!(client.call(&request, 2).responses[0].error_code, 0);
    assert_eq!(
        describe(&mut client, TOPIC, "t", "retention.ms").config_source,
        5
    );
    assert_eq!(
        describe(&mut client, TOPIC, "t", "segment.ms")
            .value
            .as_deref(),
        Some("3000")
    );
}
