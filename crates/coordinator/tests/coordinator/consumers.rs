//! What tests of KIP-848's groups say and look at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catchword_coordinator::{Call, GroupConfig, MetadataImage, Reply, TopicImage};
use catchword_wire::messages::consumer_group_describe_response::DescribedGroup;
use catchword_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use catchword_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::driver::Driver;

/// The version of ConsumerGroupHeartbeat that today's clients speak.
pub(crate) const HEARTBEAT_VERSION: i16 = 1;

pub(crate) fn topic_id(n: u8) -> Uuid {
    Uuid([n; 16])
}

/// Topics by name, id and count.
pub(crate) fn image(version: u64, topics: &[(&'static str, u8, i32)]) -> Arc<MetadataImage> {
    let topic = |(name, id, partitions): &(&'static str, u8, i32)| TopicImage {
        name: (*name).into(),
        id: topic_id(*id),
        partitions: *partitions,
    };
    Arc::new(MetadataImage::new(version, topics.iter().map(topic)))
}

/// A driver of a shard that knows topic `t` (id 1, 6 partitions) and assigns without a pause.
pub(crate) fn driver() -> Driver {
    let mut config = GroupConfig::default();
    config.consumer.defaults.assignment_interval_ms = 0;
    with_config(config)
}

pub(crate) fn with_config(config: GroupConfig) -> Driver {
    let mut driver = Driver::with(config);
    driver.set_topics(1, &[("t", 1, 6)]);
    driver
}

/// The first heartbeat of a member, which subscribes to topic `t`.
pub(crate) fn joining(group: &str, member: &str) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: Str::copy(group),
        member_id: Str::copy(member),
        rebalance_timeout_ms: 60_000,
        subscribed_topic_names: Some(vec!["t".into()]),
        topic_partitions: Some(Vec::new()),
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// A heartbeat that says nothing but that the member is alive.
pub(crate) fn alive(group: &str, member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest {
        group_id: Str::copy(group),
        member_id: Str::copy(member),
        member_epoch: epoch,
        ..ConsumerGroupHeartbeatRequest::default()
    }
}

/// A heartbeat with the partitions of topic `t` that the member has.
pub(crate) fn owning(
    group: &str,
    member: &str,
    epoch: i32,
    owned: &[i32],
) -> ConsumerGroupHeartbeatRequest {
    let topic = TopicPartitions {
        topic_id: topic_id(1),
        partitions: owned.to_vec(),
    };
    ConsumerGroupHeartbeatRequest {
        topic_partitions: Some(if owned.is_empty() {
            vec![]
        } else {
            vec![topic]
        }),
        ..alive(group, member, epoch)
    }
}

/// The partitions of topic `t` in an answer, if it names any.
pub(crate) fn given(response: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    let assignment = response.assignment.as_ref()?;
    let topics = assignment.topic_partitions.iter();
    Some(topics.flat_map(|t| t.partitions.clone()).collect())
}

impl Driver {
    pub(crate) fn set_topics(&mut self, version: u64, topics: &[(&'static str, u8, i32)]) {
        self.shard.set_metadata(image(version, topics));
    }

    pub(crate) fn beat_v(
        &mut self,
        version: i16,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        match self.ask(version, Call::ConsumerGroupHeartbeat(request)) {
            Reply::ConsumerGroupHeartbeat(response) => response,
            other => panic!("not the answer to a heartbeat: {other:?}"),
        }
    }

    /// A heartbeat that must succeed.
    pub(crate) fn beat(
        &mut self,
        request: ConsumerGroupHeartbeatRequest,
    ) -> ConsumerGroupHeartbeatResponse {
        let response = self.beat_v(HEARTBEAT_VERSION, request);
        assert_eq!(
            ErrorCode::from_code(response.error_code),
            ErrorCode::None,
            "{response:?}"
        );
        response
    }

    /// A heartbeat that must fail.
    pub(crate) fn beat_error(&mut self, request: ConsumerGroupHeartbeatRequest) -> ErrorCode {
        let records = self.log.len();
        let error = ErrorCode::from_code(self.beat_v(HEARTBEAT_VERSION, request).error_code);
        assert_ne!(error, ErrorCode::None);
        assert_eq!(
            self.log.len(),
            records,
            "a call that is refused writes nothing"
        );
        error
    }

    pub(crate) fn described(&mut self, group: &str) -> DescribedGroup {
        match self.ask(1, Call::ConsumerGroupDescribe(Str::copy(group))) {
            Reply::ConsumerGroupDescribe(described) => described,
            other => panic!("not a description: {other:?}"),
        }
    }

    /// Who has which partition of any topic; no partition may have two owners.
    pub(crate) fn owners(&mut self, group: &str) -> BTreeMap<Str, BTreeSet<i32>> {
        let mut all = BTreeSet::new();
        let mut owners = BTreeMap::new();
        for member in self.described(group).members {
            let topics = member.assignment.topic_partitions.into_iter();
            let own: Vec<(Uuid, i32)> = topics
                .flat_map(|t| t.partitions.into_iter().map(move |p| (t.topic_id, p)))
                .collect();
            for partition in &own {
                assert!(all.insert(*partition), "{partition:?} has two owners");
            }
            owners.insert(member.member_id, own.into_iter().map(|(_, p)| p).collect());
        }
        owners
    }
}
