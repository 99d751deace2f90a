//! StreamsGroupHeartbeat (88): a member of a streams group is alive, and hears which tasks it is to run. The topics that
//! its application needs for itself are made here, as by a CreateTopics of the member.

use catchword_coordinator::{Call as GroupCall, Reply};
use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::streams_group_heartbeat_request::Topology;
use catchword_wire::messages::streams_group_heartbeat_response::Status;
use catchword_wire::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::create_topics;
use crate::catalog::{is_internal, is_valid_name};
use crate::dispatch::Call;
use crate::features;
use crate::outcome::{Outcome, blocking};
use crate::quota::Mutations;

/// Kafka's code of the status that internal topics are missing.
const MISSING_INTERNAL_TOPICS: i8 = 3;
/// How many topics that could not be made a status tells of.
const FAILURES_TOLD: usize = 3;

pub(crate) fn handle(
    call: &Call,
    request: StreamsGroupHeartbeatRequest,
) -> Outcome<StreamsGroupHeartbeatResponse> {
    if !features::is_on(&call.broker.catalog.features().levels, "streams.version") {
        return Outcome::Now(refused(ErrorCode::UnsupportedVersion, None));
    }
    if let Some(why) = request.topology.as_ref().and_then(bad_names) {
        return Outcome::Now(refused(ErrorCode::StreamsInvalidTopology, Some(why)));
    }
    let group_call = GroupCall::StreamsGroupHeartbeat(request);
    let reply = call.broker.groups.call(call, group_call);
    let call = call.clone();
    Outcome::later(async move {
        let Some(Some(Reply::StreamsGroupHeartbeat {
            mut response,
            missing,
        })) = reply.get().await
        else {
            return refused(ErrorCode::CoordinatorNotAvailable, None);
        };
        if !missing.is_empty() {
            let failures = blocking(move || make(&call, missing)).await;
            tell(&mut response, &failures.unwrap_or_default());
        }
        response
    })
}

fn refused(error: ErrorCode, why: Option<String>) -> StreamsGroupHeartbeatResponse {
    StreamsGroupHeartbeatResponse {
        error_code: error.code(),
        error_message: why.map(Str::from),
        ..StreamsGroupHeartbeatResponse::default()
    }
}

/// Whether the topology names a topic that no application may have.
fn bad_names(topology: &Topology) -> Option<String> {
    let topics = topology.subtopologies.iter().flat_map(|subtopology| {
        let internal = subtopology.repartition_source_topics.iter();
        let internal = internal.chain(&subtopology.state_changelog_topics);
        let named = subtopology.source_topics.iter();
        let named = named.chain(&subtopology.repartition_sink_topics);
        named.chain(internal.map(|topic| &topic.name))
    });
    let all = |which: fn(&str) -> bool| {
        let mut names: Vec<&str> = topics
            .clone()
            .map(Str::as_str)
            .filter(|n| which(n))
            .collect();
        names.sort_unstable();
        names.dedup();
        (!names.is_empty()).then(|| names.join(","))
    };
    let internal = all(is_internal).map(|names| {
        format!("Use of Kafka internal topics {names} in a Kafka Streams topology is prohibited.")
    });
    internal.or_else(|| {
        let invalid = all(|name| !is_valid_name(name));
        invalid.map(|names| format!("Topic names {names} are not valid topic names."))
    })
}

/// Makes topics; what could not be made, and why. A topic that another member's heartbeat has made meanwhile is there.
fn make(call: &Call, topics: Vec<CreatableTopic>) -> Vec<String> {
    let mut mutations = Mutations::of(call, Some(call.version));
    let mut failures = Vec::new();
    for topic in topics {
        let name = topic.name.clone();
        match create_topics::create(&call.broker, &mut mutations, topic, false) {
            Err(error) if error.code != ErrorCode::TopicAlreadyExists => {
                failures.push(format!("{name} ({})", error.message));
            }
            _ => {}
        }
    }
    failures
}

/// Adds to the status that topics are missing why they still are.
fn tell(response: &mut StreamsGroupHeartbeatResponse, failures: &[String]) {
    let mut statuses = response.status.iter_mut().flatten();
    let is_missing = |status: &&mut Status| status.status_code == MISSING_INTERNAL_TOPICS;
    let Some(status) = statuses.find(is_missing).filter(|_| !failures.is_empty()) else {
        return;
    };
    let told = failures[..failures.len().min(FAILURES_TOLD)].join(", ");
    let more = match failures.len().saturating_sub(FAILURES_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let detail = format!("{}; Creation failed: {told}{more}.", status.status_detail);
    status.status_detail = detail.into();
}
