//! Streams groups (KIP-1071): what they promise, and a simulation. What tests say and look at stands here.

mod promises;
mod sim;
mod topology;

use std::collections::{BTreeMap, BTreeSet};

use catchword_coordinator::{Call, GroupConfig, Reply};
use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::streams_group_describe_response::DescribedGroup;
use catchword_wire::messages::streams_group_heartbeat_request::{
    Subtopology, TaskIds, TopicInfo, Topology,
};
use catchword_wire::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use crate::driver::Driver;

const STALE_TOPOLOGY: i8 = 0;
const MISSING_SOURCE_TOPICS: i8 = 1;
const INCORRECTLY_PARTITIONED_TOPICS: i8 = 2;
const MISSING_INTERNAL_TOPICS: i8 = 3;
const SHUTDOWN_APPLICATION: i8 = 4;
const ASSIGNMENT_DELAYED: i8 = 5;

/// Topics that the application of [`topology`] needs, cut for three tasks in each of its subtopologies.
const TOPICS: [(&str, u8, i32); 3] = [("in", 1, 3), ("by-word", 2, 3), ("counts", 3, 3)];

/// Tasks as people write them: `1_0`.
type Names = BTreeSet<String>;

/// A word count: subtopology 0 reads `in` and writes `by-word`, subtopology 1 reads that and keeps `counts`.
fn topology() -> Topology {
    let internal = |name: &'static str| TopicInfo {
        name: name.into(),
        ..TopicInfo::default()
    };
    Topology {
        epoch: 0,
        subtopologies: vec![
            Subtopology {
                subtopology_id: "0".into(),
                source_topics: vec!["in".into()],
                repartition_sink_topics: vec!["by-word".into()],
                ..Subtopology::default()
            },
            Subtopology {
                subtopology_id: "1".into(),
                repartition_source_topics: vec![internal("by-word")],
                state_changelog_topics: vec![internal("counts")],
                ..Subtopology::default()
            },
        ],
    }
}

/// Settings without pauses.
fn config() -> GroupConfig {
    let mut config = GroupConfig::default();
    config.consumer.defaults.streams.assignment_interval_ms = 0;
    config.consumer.defaults.streams.initial_rebalance_delay_ms = 0;
    config
}

/// A driver of a shard that knows all topics of the word count.
fn driver() -> Driver {
    let mut driver = Driver::with(config());
    driver.set_topics(1, &TOPICS);
    driver
}

/// The first heartbeat of a member `p1`: number 1 of process `p`.
fn joining(member: &str) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        rebalance_timeout_ms: 60_000,
        topology: Some(topology()),
        process_id: Some(Str::copy(&member[..1])),
        ..owning(member, 0, &Held::default())
    }
}

/// A heartbeat that says nothing but that the member is alive.
fn alive(member: &str, epoch: i32) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        group_id: "app".into(),
        member_id: Str::copy(member),
        member_epoch: epoch,
        ..StreamsGroupHeartbeatRequest::default()
    }
}

/// A heartbeat with the tasks that the member has.
fn owning(member: &str, epoch: i32, held: &Held) -> StreamsGroupHeartbeatRequest {
    StreamsGroupHeartbeatRequest {
        active_tasks: Some(ids(&held.active)),
        standby_tasks: Some(ids(&held.standby)),
        warmup_tasks: Some(Vec::new()),
        ..alive(member, epoch)
    }
}

fn ids(names: &Names) -> Vec<TaskIds> {
    let mut ids: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for name in names {
        let (subtopology, partition) = name.split_once('_').unwrap();
        ids.entry(subtopology)
            .or_default()
            .push(partition.parse().unwrap());
    }
    ids.into_iter()
        .map(|(id, partitions)| TaskIds {
            subtopology_id: Str::copy(id),
            partitions,
        })
        .collect()
}

/// What a member has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Held {
    active: Names,
    standby: Names,
}

/// What an answer gives the member; `None` if it leaves all as it is.
fn given(response: &StreamsGroupHeartbeatResponse) -> Option<Held> {
    let names = |lists: &Option<Vec<_>>| {
        let lists = lists.iter().flatten();
        let one = |list: &catchword_wire::messages::streams_group_heartbeat_response::TaskIds| {
            let id = list.subtopology_id.clone();
            list.partitions
                .clone()
                .into_iter()
                .map(move |p| format!("{id}_{p}"))
        };
        lists.flat_map(one).collect::<Names>()
    };
    response.active_tasks.as_ref()?;
    Some(Held {
        active: names(&response.active_tasks),
        standby: names(&response.standby_tasks),
    })
}

fn names(names: &[&str]) -> Names {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn statuses(response: &StreamsGroupHeartbeatResponse) -> Vec<i8> {
    let statuses = response.status.iter().flatten();
    statuses.map(|status| status.status_code).collect()
}

trait Streams {
    /// A heartbeat, its answer, and the topics that it asks for.
    fn hears_all(
        &mut self,
        request: StreamsGroupHeartbeatRequest,
    ) -> (StreamsGroupHeartbeatResponse, Vec<CreatableTopic>);

    /// A heartbeat that is not refused.
    fn hears(&mut self, request: StreamsGroupHeartbeatRequest) -> StreamsGroupHeartbeatResponse {
        let (response, _) = self.hears_all(request);
        assert_eq!(response.error_code, 0, "{:?}", response.error_message);
        response
    }

    /// The error of a heartbeat.
    fn refused(&mut self, request: StreamsGroupHeartbeatRequest) -> ErrorCode {
        ErrorCode::from_code(self.hears_all(request).0.error_code)
    }

    fn described_app(&mut self) -> DescribedGroup;
}

impl Streams for Driver {
    fn hears_all(
        &mut self,
        request: StreamsGroupHeartbeatRequest,
    ) -> (StreamsGroupHeartbeatResponse, Vec<CreatableTopic>) {
        match self.ask(0, Call::StreamsGroupHeartbeat(request)) {
            Reply::StreamsGroupHeartbeat { response, missing } => (response, missing),
            other => panic!("not the answer to a heartbeat: {other:?}"),
        }
    }

    fn described_app(&mut self) -> DescribedGroup {
        match self.look(Call::StreamsGroupDescribe("app".into())) {
            Reply::StreamsGroupDescribe(described) => described,
            other => panic!("not a description: {other:?}"),
        }
    }
}
