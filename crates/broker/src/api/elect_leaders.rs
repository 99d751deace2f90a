//! ElectLeaders (43): this broker leads every partition already, so no election is ever needed.

use catchword_wire::messages::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use catchword_wire::messages::{ElectLeadersRequest, ElectLeadersResponse};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::Outcome;

pub(crate) fn handle(call: &Call, request: ElectLeadersRequest) -> Outcome<ElectLeadersResponse> {
    let replica_election_results = match request.topic_partitions {
        // As Kafka does it: every topic, and no partition that has its leader.
        None => {
            let named = |name: &Str| ReplicaElectionResult {
                topic: name.clone(),
                partition_result: Vec::new(),
            };
            call.broker
                .catalog
                .topics()
                .iter()
                .map(|t| named(&t.name))
                .collect()
        }
        Some(asked) => asked
            .into_iter()
            .map(|asked| {
                let topic = call.broker.catalog.topic(&asked.topic);
                let one = |index: i32| {
                    let known = topic.as_ref().is_some_and(|t| t.partition(index).is_some());
                    let (code, why) = if known {
                        (ErrorCode::ElectionNotNeeded, None)
                    } else {
                        let why = format!("No such partition as {}-{index}", asked.topic);
                        (ErrorCode::UnknownTopicOrPartition, Some(Str::from(why)))
                    };
                    PartitionResult {
                        partition_id: index,
                        error_code: code.code(),
                        error_message: why,
                    }
                };
                ReplicaElectionResult {
                    partition_result: asked.partitions.iter().map(|p| one(*p)).collect(),
                    topic: asked.topic.clone(),
                }
            })
            .collect(),
    };
    Outcome::Now(ElectLeadersResponse {
        replica_election_results,
        ..ElectLeadersResponse::default()
    })
}
