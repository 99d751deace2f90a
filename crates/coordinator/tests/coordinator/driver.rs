//! A driver for one shard, with a clock that is moved by hand and a log in memory.
//!
//! After every step it checks that replaying the log gives the very state that the live shard would dump: nothing may
//! be decided that is not written.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_coordinator::{
    Call, Client, Context, CoordinatorRecord, Effect, GroupConfig, GroupShard, Moved,
    OffsetFetchCall, Output, Reply, ReplyTo, TimerKey,
};
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use catchword_wire::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use catchword_wire::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use catchword_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use catchword_wire::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, OffsetCommitRequest,
    OffsetDeleteRequest, SyncGroupRequest,
};
use catchword_wire::{ErrorCode, Str, Uuid};

/// Newest versions, as a present-day Java client speaks.
pub(crate) const JOIN_VERSION: i16 = 9;
pub(crate) const COMMIT_VERSION: i16 = 9;

pub(crate) const SECOND: i64 = 1000;
pub(crate) const DAY: i64 = 24 * 60 * 60 * SECOND;
pub(crate) const WEEK: i64 = 7 * DAY;

pub(crate) struct Driver {
    pub(crate) shard: GroupShard,
    pub(crate) config: GroupConfig,
    pub(crate) now_ms: i64,
    pub(crate) log: Vec<(i64, CoordinatorRecord)>,
    pub(crate) timers: BTreeMap<TimerKey, i64>,
    pub(crate) replies: BTreeMap<ReplyTo, Reply>,
    pub(crate) client: Client,
    pub(crate) last_effects: Vec<Effect>,
    pub(crate) all_effects: Vec<Effect>,
    next_to: u64,
    incarnation: u128,
}

impl Driver {
    pub(crate) fn new() -> Driver {
        Driver::with(GroupConfig::default())
    }

    pub(crate) fn with(config: GroupConfig) -> Driver {
        Driver {
            shard: GroupShard::new(config.clone(), 1),
            config,
            now_ms: 1_000_000_000,
            log: Vec::new(),
            timers: BTreeMap::new(),
            replies: BTreeMap::new(),
            client: Client {
                client_id: "client".into(),
                client_host: "/127.0.0.1".into(),
                principal: Str::EMPTY,
            },
            last_effects: Vec::new(),
            all_effects: Vec::new(),
            next_to: 0,
            incarnation: 1,
        }
    }

    /// Makes a call; its reply, if there is one yet, is in `replies`.
    pub(crate) fn call(&mut self, api_version: i16, call: Call) -> ReplyTo {
        self.next_to += 1;
        let to = ReplyTo(self.next_to);
        let mut out = Output::default();
        let client = self.client.clone();
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version,
        };
        self.shard.step(&ctx, to, call, &mut out);
        self.perform(out);
        to
    }

    /// Makes a call and takes its reply, which must be there at once.
    pub(crate) fn ask(&mut self, api_version: i16, call: Call) -> Reply {
        let to = self.call(api_version, call);
        self.take(to)
    }

    /// Asks for what changes nothing, so that the log need not be replayed.
    pub(crate) fn look(&mut self, call: Call) -> Reply {
        let mut out = Output::default();
        let client = self.client.clone();
        let ctx = Context {
            now_ms: self.now_ms,
            client: &client,
            api_version: 0,
        };
        self.shard.step(&ctx, ReplyTo(0), call, &mut out);
        assert!(out.records.is_empty(), "a question has changed something");
        match out.effects.pop() {
            Some(Effect::Reply { reply, .. }) => reply,
            other => panic!("no answer: {other:?}"),
        }
    }

    pub(crate) fn take(&mut self, to: ReplyTo) -> Reply {
        self.replies.remove(&to).expect("there is no reply yet")
    }

    pub(crate) fn with_output(&mut self, act: impl FnOnce(&mut GroupShard, i64, &mut Output)) {
        let mut out = Output::default();
        act(&mut self.shard, self.now_ms, &mut out);
        self.perform(out);
    }

    fn perform(&mut self, out: Output) {
        for record in out.records {
            self.log.push((self.now_ms, record));
        }
        self.last_effects = out.effects.clone();
        self.all_effects.extend(out.effects.iter().cloned());
        for effect in out.effects {
            match effect {
                Effect::Reply { to, reply } => {
                    assert!(
                        self.replies.insert(to, reply).is_none(),
                        "{to:?} is answered twice"
                    );
                }
                Effect::SetTimer { key, at_ms } => {
                    self.timers.insert(key, at_ms);
                }
                Effect::CancelTimer { key } => {
                    self.timers.remove(&key);
                }
                Effect::Notice(_) => {}
            }
        }
        let replayed = replay(&self.config, &self.log);
        assert_eq!(
            replayed.dump_records(),
            self.shard.dump_records(),
            "the log says otherwise"
        );
    }

    /// Lets time pass, and timers fire in their order.
    pub(crate) fn tick(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some((key, at_ms)) = self.next_timer().filter(|(_, at_ms)| *at_ms <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            self.timers.remove(&key);
            self.with_output(|shard, now_ms, out| shard.timer(now_ms, &key, out));
        }
        self.now_ms = end_ms;
    }

    fn next_timer(&self) -> Option<(TimerKey, i64)> {
        let next = self.timers.iter().min_by_key(|(_, at_ms)| **at_ms);
        next.map(|(key, at_ms)| (key.clone(), *at_ms))
    }

    /// The broker dies and comes back: what is in the log is left.
    pub(crate) fn restart(&mut self) {
        self.incarnation += 1;
        self.timers.clear();
        self.shard = GroupShard::new(self.config.clone(), self.incarnation);
        for (timestamp_ms, record) in &self.log {
            let value = record.value.as_deref();
            self.shard
                .replay(*timestamp_ms, &record.key, value, &record.headers)
                .unwrap();
        }
        self.with_output(|shard, now_ms, out| shard.loaded(now_ms, out));
    }

    pub(crate) fn expire(&mut self) {
        self.with_output(|shard, now_ms, out| shard.expire_offsets(now_ms, out));
    }

    pub(crate) fn join(&mut self, request: JoinGroupRequest) -> ReplyTo {
        self.call(JOIN_VERSION, Call::JoinGroup(request))
    }

    pub(crate) fn take_join(&mut self, to: ReplyTo) -> JoinGroupResponse {
        match self.take(to) {
            Reply::JoinGroup(response) => response,
            other => panic!("not the answer to a join: {other:?}"),
        }
    }

    /// A new dynamic member's first call: it is given an id.
    pub(crate) fn new_member(&mut self, group: &str) -> Str {
        let to = self.join(join(group, ""));
        let response = self.take_join(to);
        assert_eq!(response.error_code, ErrorCode::MemberIdRequired.code());
        response.member_id
    }

    /// A stable group of `n` members in its first generation; the leader is the first.
    pub(crate) fn stable(&mut self, group: &str, n: usize) -> Vec<Str> {
        let members: Vec<Str> = (0..n).map(|_| self.new_member(group)).collect();
        let joins: Vec<ReplyTo> = members.iter().map(|m| self.join(join(group, m))).collect();
        self.tick(i64::from(self.config.group_initial_rebalance_delay_ms) * 4);
        for to in joins {
            let response = self.take_join(to);
            assert_eq!(response.error_code, 0);
            assert_eq!(response.leader, members[0]);
        }
        self.sync_all(group, &members, 1);
        members
    }

    /// Everyone syncs; the leader, the first, gives each member its own id as the assignment.
    pub(crate) fn sync_all(&mut self, group: &str, members: &[Str], generation: i32) {
        for (i, member) in members.iter().enumerate().rev() {
            let mut request = sync(group, member, generation);
            if i == 0 {
                request.assignments = assignments(members);
            }
            self.call(5, Call::SyncGroup(request));
        }
    }

    pub(crate) fn error_of(&mut self, api_version: i16, call: Call) -> ErrorCode {
        error_of(&self.ask(api_version, call))
    }

    /// Commits one offset and gives the error.
    pub(crate) fn commit(&mut self, request: OffsetCommitRequest) -> ErrorCode {
        self.error_of(COMMIT_VERSION, Call::OffsetCommit(request))
    }

    pub(crate) fn heartbeat(&mut self, group: &str, member: &str, generation: i32) -> ErrorCode {
        self.error_of(4, Call::Heartbeat(heartbeat(group, member, generation)))
    }

    /// The committed offset, -1 for none.
    pub(crate) fn committed(&mut self, group: &str, topic: &'static str, partition: i32) -> i64 {
        self.committed_of(group, topic, Uuid::ZERO, partition)
    }

    pub(crate) fn committed_of(
        &mut self,
        group: &str,
        topic: &'static str,
        topic_id: Uuid,
        partition: i32,
    ) -> i64 {
        let topics = Some(vec![OffsetFetchRequestTopics {
            name: topic.into(),
            topic_id,
            partition_indexes: vec![partition],
        }]);
        match self.ask(10, fetch(group, topics)) {
            Reply::OffsetFetch(response) => response.topics[0].partitions[0].committed_offset,
            other => panic!("not the answer to a fetch: {other:?}"),
        }
    }

    pub(crate) fn state(&mut self, group: &str) -> String {
        match self.ask(6, Call::DescribeGroup(Str::copy(group))) {
            Reply::DescribeGroup(described) => described.group_state.to_string(),
            other => panic!("not a description: {other:?}"),
        }
    }

    pub(crate) fn leave(&mut self, group: &str, members: &[Str]) -> Vec<ErrorCode> {
        match self.ask(5, Call::LeaveGroup(leave(group, members))) {
            Reply::LeaveGroup(response) => response
                .members
                .iter()
                .map(|m| ErrorCode::from_code(m.error_code))
                .collect(),
            other => panic!("not the answer to a leave: {other:?}"),
        }
    }
}

/// A shard out of a log.
pub(crate) fn replay(config: &GroupConfig, log: &[(i64, CoordinatorRecord)]) -> GroupShard {
    let mut shard = GroupShard::new(config.clone(), 0);
    for (timestamp_ms, record) in log {
        let value = record.value.as_deref();
        shard
            .replay(*timestamp_ms, &record.key, value, &record.headers)
            .unwrap();
    }
    shard
}

/// The error of a reply: its own, or that of its first part.
pub(crate) fn error_of(reply: &Reply) -> ErrorCode {
    let code = match reply {
        Reply::JoinGroup(response) => response.error_code,
        Reply::SyncGroup(response) => response.error_code,
        Reply::Heartbeat(response) => response.error_code,
        Reply::LeaveGroup(response) => match response.members.first() {
            Some(member) => member.error_code,
            None => response.error_code,
        },
        Reply::OffsetCommit(response) => response.topics[0].partitions[0].error_code,
        Reply::OffsetFetch(response) => response.error_code,
        Reply::OffsetDelete(response) => match response.topics.first() {
            Some(topic) => topic.partitions[0].error_code,
            None => response.error_code,
        },
        Reply::TxnOffsetCommit(response) => response.topics[0].partitions[0].error_code,
        Reply::EndTransaction(error) => error.code(),
        Reply::DescribeGroup(response) => response.error_code,
        Reply::Survey(_) | Reply::Roster(_) | Reply::ListGroups(_) => 0,
        Reply::DeleteGroup(response) => response.error_code,
        Reply::ConsumerGroupHeartbeat(response) => response.error_code,
        Reply::ConsumerGroupDescribe(response) => response.error_code,
        Reply::MoveOffsets(Moved::Refused(error))
        | Reply::Tag(error)
        | Reply::Kick(error)
        | Reply::EmptyShareGroup(error) => error.code(),
        Reply::MoveOffsets(Moved::Done | Moved::Elsewhere(_)) => 0,
        Reply::ShareGroupHeartbeat(response) => response.error_code,
        Reply::ShareGroupDescribe(response) => response.error_code,
        Reply::StreamsGroupHeartbeat { response, .. } => response.error_code,
        Reply::StreamsGroupDescribe(response) => response.error_code,
    };
    ErrorCode::from_code(code)
}

/// What a consumer says of itself under one protocol: version 1 of its subscription.
pub(crate) fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend_from_slice(&(topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend_from_slice(&(topic.len() as i16).to_be_bytes());
        bytes.extend_from_slice(topic.as_bytes());
    }
    // No user data, no owned partitions.
    bytes.extend_from_slice(&(-1i32).to_be_bytes());
    bytes.extend_from_slice(&0i32.to_be_bytes());
    Bytes::from(bytes)
}

pub(crate) fn protocols(names: &[&str], topics: &[&str]) -> Vec<JoinGroupRequestProtocol> {
    let metadata = subscription(topics);
    let protocol = |name: &&str| JoinGroupRequestProtocol {
        name: Str::copy(name),
        metadata: metadata.clone(),
    };
    names.iter().map(protocol).collect()
}

pub(crate) fn join(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: Str::copy(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: Str::copy(member),
        protocol_type: "consumer".into(),
        protocols: protocols(&["range"], &["t"]),
        ..JoinGroupRequest::default()
    }
}

pub(crate) fn static_join(group: &str, instance: &'static str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_instance_id: Some(instance.into()),
        ..join(group, member)
    }
}

pub(crate) fn sync(group: &str, member: &str, generation: i32) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: Str::copy(group),
        generation_id: generation,
        member_id: Str::copy(member),
        protocol_type: Some("consumer".into()),
        protocol_name: Some("range".into()),
        ..SyncGroupRequest::default()
    }
}

pub(crate) fn assignments(members: &[Str]) -> Vec<SyncGroupRequestAssignment> {
    let own = |member: &Str| SyncGroupRequestAssignment {
        member_id: member.clone(),
        assignment: Bytes::copy_from_slice(member.as_bytes()),
    };
    members.iter().map(own).collect()
}

pub(crate) fn heartbeat(group: &str, member: &str, generation: i32) -> HeartbeatRequest {
    HeartbeatRequest {
        group_id: Str::copy(group),
        generation_id: generation,
        member_id: Str::copy(member),
        group_instance_id: None,
    }
}

pub(crate) fn leave(group: &str, members: &[Str]) -> LeaveGroupRequest {
    let identity = |member: &Str| MemberIdentity {
        member_id: member.clone(),
        ..MemberIdentity::default()
    };
    LeaveGroupRequest {
        group_id: Str::copy(group),
        member_id: Str::EMPTY,
        members: members.iter().map(identity).collect(),
    }
}

/// A commit of one offset of topic `t`, partition 0.
pub(crate) fn commit(
    group: &str,
    member: &str,
    generation: i32,
    offset: i64,
) -> OffsetCommitRequest {
    OffsetCommitRequest {
        group_id: Str::copy(group),
        generation_id_or_member_epoch: generation,
        member_id: Str::copy(member),
        topics: vec![commit_topic("t", &[(0, offset)])],
        ..OffsetCommitRequest::default()
    }
}

pub(crate) fn commit_topic(topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequestTopic {
    let partition =
        |(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
            partition_index: *partition_index,
            committed_offset: *committed_offset,
            committed_metadata: Some(Str::EMPTY),
            ..OffsetCommitRequestPartition::default()
        };
    OffsetCommitRequestTopic {
        name: Str::copy(topic),
        topic_id: Uuid::ZERO,
        partitions: offsets.iter().map(partition).collect(),
    }
}

pub(crate) fn fetch(group: &str, topics: Option<Vec<OffsetFetchRequestTopics>>) -> Call {
    let group = OffsetFetchRequestGroup {
        group_id: Str::copy(group),
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    Call::OffsetFetch(OffsetFetchCall {
        group,
        require_stable: false,
    })
}

pub(crate) fn offset_delete(group: &str, topic: &'static str, partition_index: i32) -> Call {
    Call::OffsetDelete(OffsetDeleteRequest {
        group_id: Str::copy(group),
        topics: vec![OffsetDeleteRequestTopic {
            name: topic.into(),
            partitions: vec![OffsetDeleteRequestPartition { partition_index }],
        }],
    })
}

/// Rules by which one bookmark of group `g` is pinned.
pub(crate) fn pinned(topic: &str, partition: i32) -> catchword_coordinator::RetentionRules {
    let pins = catchword_coordinator::Pins::new([(Str::copy(topic), Some(partition))]);
    catchword_coordinator::RetentionRules {
        pins: [("g".into(), pins)].into(),
        ..Default::default()
    }
}
