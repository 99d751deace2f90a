//! Members of streams groups (KIP-1071) that are unknown, behind, or say what cannot be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::ErrorCode;
use catchword_wire::messages::streams_group_heartbeat_request::{Subtopology, TaskIds, Topology};
use catchword_wire::messages::{StreamsGroupDescribeRequest, StreamsGroupHeartbeatRequest};

use super::ground::{Ground, led_past};
use super::{Answers, are, code};
use crate::harness::Cluster;

pub(super) struct Asker(pub(super) Ground);

impl Asker {
    pub(super) fn new(cluster: &Cluster) -> Asker {
        Asker(Ground::new(cluster, 6))
    }

    fn heartbeat(&self, member: &'static str, epoch: i32) -> StreamsGroupHeartbeatRequest {
        let mut request = StreamsGroupHeartbeatRequest {
            group_id: self.0.group.clone(),
            member_id: member.into(),
            member_epoch: epoch,
            ..StreamsGroupHeartbeatRequest::default()
        };
        if epoch >= 0 {
            request.active_tasks = Some(Vec::new());
            request.standby_tasks = Some(Vec::new());
            request.warmup_tasks = Some(Vec::new());
        }
        if epoch == 0 {
            request.rebalance_timeout_ms = 30_000;
            request.process_id = Some(member.into());
            request.topology = Some(Topology {
                epoch: 0,
                subtopologies: vec![Subtopology {
                    subtopology_id: "0".into(),
                    source_topics: vec![self.0.topic.clone()],
                    ..Subtopology::default()
                }],
            });
        }
        request
    }

    /// A heartbeat with something about it changed.
    fn say(
        &mut self,
        member: &'static str,
        epoch: i32,
        change: impl Fn(&mut StreamsGroupHeartbeatRequest),
    ) -> (ErrorCode, i32) {
        let mut request = self.heartbeat(member, epoch);
        change(&mut request);
        let response = self.0.wire.call(&request, 0);
        (code(response.error_code), response.member_epoch)
    }

    pub(super) fn beat(&mut self, member: &'static str, epoch: i32) -> ErrorCode {
        self.say(member, epoch, |_| {}).0
    }

    /// The member's heartbeats without tasks, until one has led it past this epoch: the epoch it then has.
    fn past(&mut self, member: &'static str, epoch: i32) -> i32 {
        led_past(epoch, |now| self.say(member, now, |_| {}))
    }

    pub(super) fn describe(&mut self) -> ErrorCode {
        let request = StreamsGroupDescribeRequest {
            group_ids: vec![self.0.group.clone()],
            ..StreamsGroupDescribeRequest::default()
        };
        code(self.0.wire.call(&request, 0).groups[0].error_code)
    }
}

/// All tasks of the topology, as active ones.
fn all() -> Option<Vec<TaskIds>> {
    Some(vec![TaskIds {
        subtopology_id: "0".into(),
        partitions: (0..6).collect(),
    }])
}

#[test]
fn members_of_streams_groups_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("streams-members");
    let mut asker = Asker::new(&cluster);
    let mut answers: Answers = vec![
        ("no group: a later heartbeat", asker.beat("a", 3)),
        ("no group: leave", asker.beat("a", -1)),
        ("no group: describe", asker.describe()),
        ("no group: delete", asker.0.delete()),
        ("no member id", asker.beat("", 0)),
        (
            "a member without a name leaves for a while",
            asker.beat("a", -2),
        ),
        ("no such epoch", asker.beat("a", -3)),
        (
            "join without a topology",
            asker.say("a", 0, |r| r.topology = None).0,
        ),
        (
            "join with tasks in its hands",
            asker.say("a", 0, |r| r.active_tasks = all()).0,
        ),
        (
            "join without a time to rebalance",
            asker.say("a", 0, |r| r.rebalance_timeout_ms = -1).0,
        ),
        (
            "a static member",
            asker.say("a", 0, |r| r.instance_id = Some("i".into())).0,
        ),
        (
            "one kind of tasks alone",
            asker.say("a", 0, |r| r.standby_tasks = None).0,
        ),
    ];
    let (joined, first) = asker.say("a", 0, |_| {});
    answers.push(("join", joined));
    answers.push(("another joins", asker.beat("b", 0)));
    let second = asker.past("a", first);
    let topology = asker.heartbeat("a", 0).topology;
    answers.extend([
        (
            "the epoch before, nothing in its hands",
            asker.beat("a", first),
        ),
        (
            "the epoch before, with what is another's",
            asker.say("a", first, |r| r.active_tasks = all()).0,
        ),
        (
            "a topology on the way",
            asker.say("a", second, |r| r.topology = topology.clone()).0,
        ),
    ]);
    answers.push(("a third joins", asker.beat("c", 0)));
    let third = asker.past("a", second);
    answers.extend([
        ("an epoch long gone", asker.beat("a", first)),
        ("an epoch to come", asker.beat("a", third + 1)),
        ("a stranger", asker.beat("stranger", third)),
        ("its own epoch", asker.beat("a", third)),
        ("a stranger leaves", asker.beat("stranger", -1)),
        ("delete what is not empty", asker.0.delete()),
        ("leave", asker.beat("a", -1)),
        ("who has left", asker.beat("a", third)),
        ("the second leaves", asker.beat("b", -1)),
        ("the third leaves", asker.beat("c", -1)),
        ("delete", asker.0.delete()),
    ]);
    are(
        &answers,
        &[
            ErrorCode::GroupIdNotFound,
            ErrorCode::GroupIdNotFound,
            ErrorCode::GroupIdNotFound,
            ErrorCode::GroupIdNotFound,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::InvalidRequest,
            ErrorCode::None,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::FencedMemberEpoch,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::NonEmptyGroup,
            ErrorCode::None,
            ErrorCode::UnknownMemberId,
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
        ],
    );
}
