//! Metrics of clients (KIP-714): who is asked, who may push when, and what is refused.

use bytes::Bytes;
use catchword_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use catchword_wire::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
    IncrementalAlterConfigsRequest, PushTelemetryRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::harness::{Client, TestBroker};

const CLIENT_METRICS: i8 = 16;

/// Sets keys of a subscription; the error code that comes back.
fn subscribe(client: &mut Client, name: &str, set: &[(&str, &str)]) -> i16 {
    let config = |(name, value): &(&str, &str)| AlterableConfig {
        name: Str::copy(name),
        config_operation: 0,
        value: Some(Str::copy(value)),
    };
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: CLIENT_METRICS,
            resource_name: Str::copy(name),
            configs: set.iter().map(config).collect(),
        }],
        validate_only: false,
    };
    client.call(&request, 1).responses[0].error_code
}

fn ask(client: &mut Client, id: Uuid) -> GetTelemetrySubscriptionsResponse {
    let request = GetTelemetrySubscriptionsRequest {
        client_instance_id: id,
    };
    client.call(&request, 0)
}

fn push(client: &mut Client, to: &GetTelemetrySubscriptionsResponse, metrics: Bytes) -> i16 {
    let request = PushTelemetryRequest {
        client_instance_id: to.client_instance_id,
        subscription_id: to.subscription_id,
        terminating: false,
        compression_type: 0,
        metrics,
    };
    client.call(&request, 0).error_code
}

#[test]
fn a_client_without_a_subscription_gets_an_id_and_is_asked_for_nothing() {
    let broker = TestBroker::start();
    let asked = ask(&mut broker.client(), Uuid::ZERO);
    assert_eq!(asked.error_code, 0);
    assert!(!asked.client_instance_id.is_zero());
    assert_eq!(asked.requested_metrics, Vec::<Str>::new());
    assert_eq!(asked.push_interval_ms, 300_000);
    assert_eq!(asked.accepted_compression_types, [4, 3, 1, 2]);
}

#[test]
fn the_subscriptions_that_match_a_client_are_asked_for_together() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let all = [("metrics", "a.,b."), ("interval.ms", "60000")];
    assert_eq!(subscribe(&mut client, "all", &all), 0);
    let mine = [("metrics", "b.,c."), ("match", "client_id=te.t")];
    assert_eq!(subscribe(&mut client, "mine", &mine), 0);
    let others = [("metrics", "d."), ("match", "client_id=other")];
    assert_eq!(subscribe(&mut client, "others", &others), 0);
    let asked = ask(&mut client, Uuid::ZERO);
    assert_eq!(asked.requested_metrics, ["a.", "b.", "c."]);
    assert_eq!(asked.push_interval_ms, 60_000);
    // A change counts at once, also for a client whose interval is not over.
    let id = asked.client_instance_id;
    let throttled = ErrorCode::ThrottlingQuotaExceeded.code();
    assert_eq!(ask(&mut client, id).error_code, throttled);
    assert_eq!(
        subscribe(&mut client, "others", &[("metrics", "*"), ("match", "")]),
        0
    );
    let changed = ask(&mut client, id);
    assert_eq!(changed.requested_metrics, ["*"]);
    assert_ne!(changed.subscription_id, asked.subscription_id);
    assert_eq!(changed.client_instance_id, id);
}

#[test]
fn a_push_is_taken_once_an_interval_and_what_does_not_do_is_refused_as_kafka_does() {
    let broker = TestBroker::with(&[("telemetry.max.bytes", "100")]);
    let mut client = broker.client();
    assert_eq!(
        subscribe(
            &mut client,
            "all",
            &[("metrics", "*"), ("interval.ms", "100")]
        ),
        0
    );
    let asked = ask(&mut client, Uuid::ZERO);
    assert_eq!(asked.telemetry_max_bytes, 100);
    let metrics = Bytes::from_static(b"metrics");
    assert_eq!(push(&mut client, &asked, metrics.clone()), 0);
    let too_soon = ErrorCode::ThrottlingQuotaExceeded.code();
    assert_eq!(push(&mut client, &asked, metrics.clone()), too_soon);
    let mut refused = |request: PushTelemetryRequest, error: ErrorCode| {
        std::thread::sleep(std::time::Duration::from_millis(110));
        let answered = client.call(&request, 0).error_code;
        assert_eq!(answered, error.code(), "{error:?}");
    };
    let good = PushTelemetryRequest {
        client_instance_id: asked.client_instance_id,
        subscription_id: asked.subscription_id,
        terminating: false,
        compression_type: 0,
        metrics,
    };
    let with = |f: fn(&mut PushTelemetryRequest)| {
        let mut request = good.clone();
        f(&mut request);
        request
    };
    refused(
        with(|r| r.client_instance_id = Uuid::ZERO),
        ErrorCode::InvalidRequest,
    );
    refused(
        with(|r| r.subscription_id ^= 1),
        ErrorCode::UnknownSubscriptionId,
    );
    refused(
        with(|r| r.compression_type = 9),
        ErrorCode::UnsupportedCompressionType,
    );
    refused(
        with(|r| r.metrics = vec![0; 101].into()),
        ErrorCode::TelemetryTooLarge,
    );
    refused(with(|r| r.compression_type = 4), ErrorCode::InvalidRecord);
    refused(with(|r| r.terminating = true), ErrorCode::None);
    refused(good.clone(), ErrorCode::InvalidRequest);
}

#[test]
fn subscriptions_that_do_not_do_are_refused_as_kafka_does() {
    let broker = TestBroker::start();
    let mut client = broker.client();
    let (request, config) = (ErrorCode::InvalidRequest, ErrorCode::InvalidConfig);
    for (key, value, error) in [
        ("no.such.key", "1", request),
        ("interval.ms", "99", request),
        ("interval.ms", "soon", config),
        ("match", "colour=red", config),
    ] {
        let answered = subscribe(&mut client, "s", &[(key, value)]);
        assert_eq!(answered, error.code(), "{key}={value}");
    }
}
