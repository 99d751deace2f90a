//! A member of a classic group: joins, computes the assignment if it leads, beats, commits, leaves.
//!
//! Invariant: a commit is only made in the generation the member is in; whoever is told [`Rebalance::Needed`] must
//! commit and call [`GroupMember::rejoin`] before reading on. No threads: the caller beats by calling `poll` often enough.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use catchword_wire::messages::consumer_protocol_assignment::TopicPartition as AssignedTopic;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;
use catchword_wire::messages::join_group_response::JoinGroupResponseMember;
use catchword_wire::messages::leave_group_request::MemberIdentity;
use catchword_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use catchword_wire::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
};
use catchword_wire::{Encoder, ErrorCode, Message, Str};

use crate::assignor::range_assign;
use crate::client::{ANY, Client};
use crate::error::{ClientError, check};
use crate::groups;
use crate::offsets::{CommitAs, NewCommit};
use crate::types::TopicPartition;

const PROTOCOL_TYPE: &str = "consumer";
const ASSIGNOR: &str = "range";

/// How to be a member.
#[derive(Debug, Clone)]
pub struct MemberOptions {
    /// The group.
    pub group: String,
    /// The topics to read.
    pub topics: Vec<String>,
    /// After how long without a heartbeat the coordinator gives the member up.
    pub session_timeout: Duration,
    /// How long the members get to rejoin in a rebalance.
    pub rebalance_timeout: Duration,
    /// The `group.instance.id` of a static member (KIP-345).
    pub instance_id: Option<String>,
}

impl MemberOptions {
    /// A member of the group with Kafka's usual timeouts.
    pub fn new(group: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            group: group.into(),
            topics,
            session_timeout: Duration::from_secs(45),
            rebalance_timeout: Duration::from_secs(60),
            instance_id: None,
        }
    }
}

/// Whether the group wants its members to join again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rebalance {
    /// All is well.
    No,
    /// Commit, then rejoin.
    Needed,
    /// The coordinator has given the member up: what was not committed is somebody else's now. Rejoin.
    Lost,
}

/// A member of a group.
#[derive(Debug)]
pub struct GroupMember {
    options: MemberOptions,
    member_id: String,
    generation: i32,
    assignment: Vec<TopicPartition>,
    beaten: Instant,
}

impl GroupMember {
    /// Joins the group; waits for the others as long as the rebalance takes.
    ///
    /// # Errors
    /// If the coordinator refuses: the members have no assignor in common, the group is full, ...
    pub fn join(client: &mut Client, options: MemberOptions) -> Result<Self, ClientError> {
        let mut member = Self {
            options,
            member_id: String::new(),
            generation: -1,
            assignment: Vec::new(),
            beaten: Instant::now(),
        };
        member.rejoin(client)?;
        Ok(member)
    }

    /// Its id.
    pub fn member_id(&self) -> &str {
        &self.member_id
    }

    /// The generation it is in.
    pub fn generation(&self) -> i32 {
        self.generation
    }

    /// The partitions it was given.
    pub fn assignment(&self) -> &[TopicPartition] {
        &self.assignment
    }

    /// Joins again, after a rebalance was called for.
    ///
    /// # Errors
    /// As [`GroupMember::join`].
    pub fn rejoin(&mut self, client: &mut Client) -> Result<(), ClientError> {
        loop {
            let joined = self.join_once(client)?;
            let Some(joined) = joined else { continue };
            match self.sync(client, &joined) {
                Ok(()) => {
                    self.beaten = Instant::now();
                    return Ok(());
                }
                Err(error) => self.start_over(error)?,
            }
        }
    }

    /// `None` if it must be tried again, with what was learnt.
    fn join_once(&mut self, client: &mut Client) -> Result<Option<JoinGroupResponse>, ClientError> {
        let topics: Vec<Str> = self
            .options
            .topics
            .iter()
            .map(|topic| Str::copy(topic))
            .collect();
        let subscription = ConsumerProtocolSubscription {
            topics,
            ..Default::default()
        };
        let request = JoinGroupRequest {
            group_id: Str::copy(&self.options.group),
            session_timeout_ms: millis(self.options.session_timeout),
            rebalance_timeout_ms: millis(self.options.rebalance_timeout),
            member_id: Str::copy(&self.member_id),
            group_instance_id: self.instance_id(),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: ASSIGNOR.into(),
                metadata: versioned(&subscription, 1)?,
            }],
            reason: None,
        };
        let group = self.options.group.clone();
        let wait = self.options.rebalance_timeout;
        let mut learnt = None;
        let result = client.call_coordinator(&group, &request, ANY, wait, |response| {
            if response.error_code != 0 && !response.member_id.is_empty() {
                return Ok(());
            }
            check(response.error_code, None, || {
                format!("join group {group:?}")
            })
        });
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.start_over(error).map(|()| None),
        };
        // KIP-394: the first answer only gives the member its id.
        if response.error_code == ErrorCode::MemberIdRequired.code() {
            learnt = Some(response.member_id.to_string());
        } else if let Err(error) = check(response.error_code, None, || {
            format!("join group {group:?}")
        }) {
            return self.start_over(error).map(|()| None);
        }
        if let Some(member_id) = learnt {
            self.member_id = member_id;
            return Ok(None);
        }
        self.member_id = response.member_id.to_string();
        self.generation = response.generation_id;
        Ok(Some(response))
    }

    fn sync(&mut self, client: &mut Client, joined: &JoinGroupResponse) -> Result<(), ClientError> {
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        let assignments = if leads {
            assign(client, &joined.members)?
        } else {
            Vec::new()
        };
        let request = SyncGroupRequest {
            group_id: Str::copy(&self.options.group),
            generation_id: self.generation,
            member_id: Str::copy(&self.member_id),
            group_instance_id: self.instance_id(),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: joined.protocol_name.clone(),
            assignments,
        };
        let group = self.options.group.clone();
        let wait = self.options.rebalance_timeout;
        let response = client.call_coordinator(&group, &request, ANY, wait, |response| {
            check(response.error_code, None, || {
                format!("get the assignment of group {group:?}")
            })
        })?;
        self.assignment = groups::assignment(&response.assignment);
        Ok(())
    }

    /// Forgets what an error has made void; gives the error back if trying again is no use.
    fn start_over(&mut self, error: ClientError) -> Result<(), ClientError> {
        match error.code() {
            Some(ErrorCode::UnknownMemberId) => {
                self.member_id.clear();
                self.generation = -1;
                Ok(())
            }
            Some(ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress) => Ok(()),
            _ => Err(error),
        }
    }

    /// Beats if it is time to.
    ///
    /// # Errors
    /// If the coordinator cannot be asked, or the member was fenced by another of the same instance id.
    pub fn poll(&mut self, client: &mut Client) -> Result<Rebalance, ClientError> {
        let interval = (self.options.session_timeout / 3).min(Duration::from_secs(3));
        if self.beaten.elapsed() < interval {
            return Ok(Rebalance::No);
        }
        let request = HeartbeatRequest {
            group_id: Str::copy(&self.options.group),
            generation_id: self.generation,
            member_id: Str::copy(&self.member_id),
            group_instance_id: self.instance_id(),
        };
        let group = self.options.group.clone();
        let result = client.call_coordinator(&group, &request, ANY, Duration::ZERO, |response| {
            check(response.error_code, None, || {
                format!("send a heartbeat to group {group:?}")
            })
        });
        self.beaten = Instant::now();
        match result {
            Ok(_) => Ok(Rebalance::No),
            Err(error) => self.rebalance(error),
        }
    }

    fn rebalance(&mut self, error: ClientError) -> Result<Rebalance, ClientError> {
        let needed = match error.code() {
            Some(ErrorCode::RebalanceInProgress) => Rebalance::Needed,
            Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration) => Rebalance::Lost,
            _ => return Err(error),
        };
        self.start_over(error)?;
        Ok(needed)
    }

    /// Commits offsets in the name of this member. Anything but [`Rebalance::No`] means that they were not taken.
    ///
    /// # Errors
    /// If the coordinator cannot be asked or refuses.
    pub fn commit(
        &mut self,
        client: &mut Client,
        commits: &[NewCommit],
    ) -> Result<Rebalance, ClientError> {
        if commits.is_empty() {
            return Ok(Rebalance::No);
        }
        let who = CommitAs::Member {
            member_id: &self.member_id,
            generation: self.generation,
            instance_id: self.options.instance_id.as_deref(),
        };
        match client.commit(&self.options.group, who, commits) {
            Ok(()) => Ok(Rebalance::No),
            Err(error) => self.rebalance(error),
        }
    }

    /// Leaves the group, so that the others need not wait for its session to end. A static member stays on the books.
    ///
    /// # Errors
    /// If the coordinator cannot be asked.
    pub fn leave(self, client: &mut Client) -> Result<(), ClientError> {
        if self.options.instance_id.is_some() {
            return Ok(());
        }
        let request = LeaveGroupRequest {
            group_id: Str::copy(&self.options.group),
            member_id: Str::copy(&self.member_id),
            members: vec![MemberIdentity {
                member_id: Str::copy(&self.member_id),
                group_instance_id: None,
                reason: Some("the consumer was closed".into()),
            }],
        };
        let group = self.options.group;
        let left = client.call_coordinator(&group, &request, ANY, Duration::ZERO, |response| {
            check(response.error_code, None, || {
                format!("leave group {group:?}")
            })
        });
        match left {
            // Gone already is as good.
            Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn instance_id(&self) -> Option<Str> {
        self.options.instance_id.as_deref().map(Str::copy)
    }
}

/// The leader's work: who reads what.
fn assign(
    client: &mut Client,
    members: &[JoinGroupResponseMember],
) -> Result<Vec<SyncGroupRequestAssignment>, ClientError> {
    let members: Vec<(String, Vec<String>)> = members
        .iter()
        .map(|member| {
            (
                member.member_id.to_string(),
                groups::subscription(&member.metadata),
            )
        })
        .collect();
    let topics: BTreeSet<&String> = members.iter().flat_map(|(_, topics)| topics).collect();
    let mut partitions = BTreeMap::new();
    for topic in topics {
        match client.topic(topic, false) {
            Ok(found) => {
                partitions.insert(topic.clone(), found.partitions.len() as i32);
            }
            // Another member may wait for a topic that is not there yet.
            Err(ClientError::UnknownTopic { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let mut assignments = Vec::new();
    for (member_id, assigned) in range_assign(&members, &partitions) {
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for partition in &assigned {
            topics
                .entry(&partition.topic)
                .or_default()
                .push(partition.partition);
        }
        let assigned_partitions = topics
            .into_iter()
            .map(|(topic, partitions)| AssignedTopic {
                topic: Str::copy(topic),
                partitions,
            })
            .collect();
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions,
            user_data: None,
        };
        assignments.push(SyncGroupRequestAssignment {
            member_id: member_id.into(),
            assignment: versioned(&assignment, 1)?,
        });
    }
    Ok(assignments)
}

/// A message of the consumer protocol: its version, then itself.
fn versioned<M: Message>(message: &M, version: i16) -> Result<bytes::Bytes, ClientError> {
    let mut e = Encoder::new();
    e.i16(version);
    message.encode(&mut e, version)?;
    Ok(e.into_bytes()
        .expect("the message holds no records of a file"))
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
