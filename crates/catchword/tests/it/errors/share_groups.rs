//! Members of share groups (KIP-932) that are unknown, behind, or say what cannot be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use catchword_wire::messages::{ShareGroupDescribeRequest, ShareGroupHeartbeatRequest};
use catchword_wire::{ErrorCode, Str};

use super::ground::{Ground, led_past};
use super::{Answers, are, code};
use crate::harness::Cluster;

pub(super) struct Asker(pub(super) Ground);

impl Asker {
    pub(super) fn new(cluster: &Cluster) -> Asker {
        Asker(Ground::new(cluster, 1))
    }

    fn heartbeat(&self, member: &'static str, epoch: i32) -> ShareGroupHeartbeatRequest {
        ShareGroupHeartbeatRequest {
            group_id: self.0.group.clone(),
            member_id: member.into(),
            member_epoch: epoch,
            subscribed_topic_names: (epoch == 0).then(|| vec![self.0.topic.clone()]),
            ..ShareGroupHeartbeatRequest::default()
        }
    }

    fn say(&mut self, member: &'static str, epoch: i32) -> (ErrorCode, i32) {
        let request = self.heartbeat(member, epoch);
        let response = self.0.wire.call(&request, 1);
        (code(response.error_code), response.member_epoch)
    }

    pub(super) fn beat(&mut self, member: &'static str, epoch: i32) -> ErrorCode {
        self.say(member, epoch).0
    }

    /// The member's heartbeats, until one has led it past this epoch: the epoch it then has.
    fn past(&mut self, member: &'static str, epoch: i32) -> i32 {
        led_past(epoch, |now| self.say(member, now))
    }

    pub(super) fn describe(&mut self) -> ErrorCode {
        let request = ShareGroupDescribeRequest {
            group_ids: vec![self.0.group.clone()],
            ..ShareGroupDescribeRequest::default()
        };
        code(self.0.wire.call(&request, 1).groups[0].error_code)
    }
}

#[test]
fn members_of_share_groups_are_refused_as_kafka_refuses_them() {
    let cluster = Cluster::any("share-members");
    let mut asker = Asker::new(&cluster);
    let mut answers: Answers = vec![
        ("no group: a later heartbeat", asker.beat("a", 3)),
        ("no group: leave", asker.beat("a", -1)),
        ("no group: describe", asker.describe()),
        ("no group: delete", asker.0.delete()),
        ("no member id", asker.beat("", 0)),
        ("a static member leaves for a while", asker.beat("a", -2)),
        ("a subscription to nothing", {
            let mut request = asker.heartbeat("a", 0);
            request.subscribed_topic_names = None;
            code(asker.0.wire.call(&request, 1).error_code)
        }),
        ("a rack without a name", {
            let mut request = asker.heartbeat("a", 0);
            request.rack_id = Some(Str::EMPTY);
            code(asker.0.wire.call(&request, 1).error_code)
        }),
    ];
    let (joined, first) = asker.say("a", 0);
    answers.push(("join", joined));
    answers.push(("another joins", asker.beat("b", 0)));
    let second = asker.past("a", first);
    answers.push(("the epoch before", asker.beat("a", first)));
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
            ErrorCode::None,
            ErrorCode::None,
            ErrorCode::None,
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
