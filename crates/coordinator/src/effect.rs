//! What goes into the shard and what comes out of it.
//!
//! Calls and replies are Kafka's own requests and responses. Nothing in this file decides anything.

use std::sync::Arc;

use catchword_wire::messages::consumer_group_describe_response;
use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::delete_groups_response::DeletableGroupResult;
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use catchword_wire::messages::share_group_describe_response;
use catchword_wire::messages::streams_group_describe_response;
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest,
    HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    OffsetCommitRequest, OffsetCommitResponse, OffsetDeleteRequest, OffsetDeleteResponse,
    ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse, StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse, SyncGroupRequest, SyncGroupResponse, TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
};
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::ledger::Place;
use crate::notice::Notice;
use crate::record::headers::Cause;
use crate::records::Records;
use crate::shard::{Survey, SurveyCall};
use crate::timer::TimerKey;

/// Who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The client id of the request's header; empty if there was none.
    pub client_id: Str,
    /// Where the client connects from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: Str,
    /// The authenticated principal, such as `User:alice`; empty for an anonymous client.
    pub principal: Str,
}

/// What surrounds a call.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
    /// Who calls.
    pub client: &'a Client,
    /// The request's version. Some rules differ by it.
    pub api_version: i16,
}

/// Where a reply belongs. Chosen by the driver, opaque to the shard; a join may be answered many steps later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplyTo(pub u64);

/// A request to the shard that its group lives in.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Call {
    JoinGroup(JoinGroupRequest),
    SyncGroup(SyncGroupRequest),
    Heartbeat(HeartbeatRequest),
    LeaveGroup(LeaveGroupRequest),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatRequest),
    /// One group of a ConsumerGroupDescribe request.
    ConsumerGroupDescribe(Str),
    ShareGroupHeartbeat(ShareGroupHeartbeatRequest),
    /// One group of a ShareGroupDescribe request.
    ShareGroupDescribe(Str),
    StreamsGroupHeartbeat(StreamsGroupHeartbeatRequest),
    /// One group of a StreamsGroupDescribe request.
    StreamsGroupDescribe(Str),
    /// Topics and partitions that don't exist must have been taken out before (C1).
    OffsetCommit(OffsetCommitRequest),
    OffsetFetch(OffsetFetchCall),
    OffsetDelete(OffsetDeleteRequest),
    TxnOffsetCommit(TxnOffsetCommitCall),
    /// A transaction ends that may have committed offsets of groups in this shard.
    EndTransaction(Marker),
    /// One group of a DescribeGroups request.
    DescribeGroup(Str),
    /// Groups with their bookmarks; Kafka has no such request.
    Survey(SurveyCall),
    /// The groups of this shard; the filters are those of the request, empty for all.
    ListGroups {
        states: Vec<Str>,
        types: Vec<Str>,
    },
    /// One group of a DeleteGroups request.
    DeleteGroup(Str),
    /// Puts bookmarks back; Kafka has no such request.
    MoveOffsets(MoveOffsets),
    /// Makes a tag or removes it; Kafka has no such request.
    Tag(TagCall),
    /// Sends a member away, of whatever protocol; Kafka's LeaveGroup can do it to some.
    Kick {
        group_id: Str,
        /// Its member id, or its group instance id.
        member: Str,
    },
}

/// A name for where a group is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCall {
    /// The group.
    pub group_id: Str,
    /// The tag's name; one of the same name is replaced.
    pub name: Str,
    /// Remove it instead.
    pub remove: bool,
}

/// Moves of a group's bookmarks that happen together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct MoveOffsets {
    /// The group; it comes to be if it does not exist.
    pub group_id: Str,
    /// Why.
    pub cause: Cause,
    /// The change that is undone, for the record.
    pub of: Option<String>,
    /// Also while the group has members: they are sent away in the same step, and rejoin. Then the bookmarks are moved
    /// from wherever they are.
    pub live: bool,
    /// The moves, each of another bookmark.
    pub moves: Vec<BookmarkMove>,
}

/// One bookmark's move.
#[derive(Debug, Clone, PartialEq)]
pub struct BookmarkMove {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// The offset where the bookmark must be, or nothing is moved; `None`: nowhere.
    pub expected: Option<i64>,
    /// Where it is put; `None` removes it.
    pub then: Option<Place>,
}

/// The answer to [`MoveOffsets`].
#[derive(Debug, Clone, PartialEq)]
pub enum Moved {
    /// All of them.
    Done,
    /// None: these bookmarks are not where they were expected.
    Elsewhere(Vec<(Str, i32)>),
    /// None: `NonEmptyGroup` if the group has members, or what any call is refused with.
    Refused(ErrorCode),
}

/// One group's part of an OffsetFetch request, of whatever version.
#[derive(Debug, Clone, PartialEq)]
pub struct OffsetFetchCall {
    /// The group and its topics; null topics ask for all.
    pub group: OffsetFetchRequestGroup,
    /// Whether offsets of open transactions must be reported as unstable (KIP-447).
    pub require_stable: bool,
}

/// TxnOffsetCommit. Topics and partitions that don't exist must have been taken out before, and the producer's transaction
/// must be known to span the shard's partition.
#[derive(Debug, Clone, PartialEq)]
pub struct TxnOffsetCommitCall {
    /// The request.
    pub request: TxnOffsetCommitRequest,
    /// The ids of its topics, in their order.
    pub topic_ids: Vec<Uuid>,
}

/// The answer to the [`Call`] of the same name.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Reply {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(consumer_group_describe_response::DescribedGroup),
    ShareGroupHeartbeat(ShareGroupHeartbeatResponse),
    ShareGroupDescribe(share_group_describe_response::DescribedGroup),
    StreamsGroupHeartbeat {
        response: StreamsGroupHeartbeatResponse,
        /// Internal topics that the application needs: the driver is to make them, with the caller's rights.
        missing: Vec<CreatableTopic>,
    },
    StreamsGroupDescribe(streams_group_describe_response::DescribedGroup),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    EndTransaction(ErrorCode),
    DescribeGroup(DescribedGroup),
    Survey(Survey),
    ListGroups(Vec<ListedGroup>),
    DeleteGroup(DeletableGroupResult),
    MoveOffsets(Moved),
    Tag(ErrorCode),
    Kick(ErrorCode),
}

/// A record's headers: shared, since all records of a request carry the same.
pub type Headers = Arc<[catchword_wire::batch::Header]>;

/// Something for the driver to do once the records before it are durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer a call. Each call is answered exactly once.
    Reply {
        /// Where to.
        to: ReplyTo,
        /// What.
        reply: Reply,
    },
    /// Call [`GroupShard::timer`](crate::GroupShard::timer) with `key` at this time or later. Replaces a timer of the
    /// same key.
    SetTimer {
        /// The timer.
        key: TimerKey,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
    /// Tell whoever asks for it. Nothing depends on it.
    Notice(Box<Notice>),
    /// Forget a timer. Firing it all the same does no harm.
    CancelTimer {
        /// The timer.
        key: TimerKey,
    },
}

/// What a step gives. The driver hands the same one in again and again, cleared, so that no step allocates it anew.
#[derive(Debug)]
pub struct Output<E = Effect> {
    /// To be appended, in this order, in one batch.
    pub records: Records,
    /// To be appended after the records, in this order, each in a batch of its own.
    pub transactional: Vec<Transactional>,
    /// To be performed, in this order, once all of these are durable.
    pub effects: Vec<E>,
}

/// What belongs to a producer's transaction: its batch carries the producer's id and epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transactional {
    /// Records that count once the transaction is committed.
    Records {
        /// Whose transaction.
        producer: ProducerEpoch,
        /// What is written.
        records: Records,
    },
    /// The end of the transaction in this partition.
    Marker(Marker),
}

/// A producer, and which of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerEpoch {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// The end of a producer's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction, and the producer's epoch at its end.
    pub producer: ProducerEpoch,
    /// Whether what was written counts from now on, or never.
    pub commit: bool,
    /// The epoch of the coordinator that decided it.
    pub coordinator_epoch: i32,
    /// 2: the producer's epoch rises with each end, so that it is larger here than in the transaction (KIP-890).
    pub transaction_version: i16,
}

impl<E> Default for Output<E> {
    fn default() -> Output<E> {
        Output {
            records: Records::default(),
            transactional: Vec::new(),
            effects: Vec::new(),
        }
    }
}

impl<E> Output<E> {
    /// Forgets records and effects, keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.transactional.clear();
        self.effects.clear();
    }

    /// Whether nothing is to be appended.
    pub fn writes_nothing(&self) -> bool {
        self.records.is_empty() && self.transactional.is_empty()
    }
}

impl Output {
    pub(crate) fn reply(&mut self, to: ReplyTo, reply: Reply) {
        self.effects.push(Effect::Reply { to, reply });
    }
}

impl Call {
    /// The group that is called; `None` if the call is not about one group.
    pub fn group_id(&self) -> Option<&Str> {
        match self {
            Call::JoinGroup(request) => Some(&request.group_id),
            Call::SyncGroup(request) => Some(&request.group_id),
            Call::Heartbeat(request) => Some(&request.group_id),
            Call::LeaveGroup(request) => Some(&request.group_id),
            Call::ConsumerGroupHeartbeat(request) => Some(&request.group_id),
            Call::ConsumerGroupDescribe(group_id) => Some(group_id),
            Call::ShareGroupHeartbeat(request) => Some(&request.group_id),
            Call::ShareGroupDescribe(group_id) => Some(group_id),
            Call::StreamsGroupHeartbeat(request) => Some(&request.group_id),
            Call::StreamsGroupDescribe(group_id) => Some(group_id),
            Call::OffsetCommit(request) => Some(&request.group_id),
            Call::OffsetFetch(call) => Some(&call.group.group_id),
            Call::OffsetDelete(request) => Some(&request.group_id),
            Call::TxnOffsetCommit(call) => Some(&call.request.group_id),
            Call::EndTransaction(_) => None,
            Call::DescribeGroup(group_id)
            | Call::Survey(SurveyCall::One(group_id))
            | Call::DeleteGroup(group_id) => Some(group_id),
            Call::MoveOffsets(call) => Some(&call.group_id),
            Call::Tag(call) => Some(&call.group_id),
            Call::Kick { group_id, .. } => Some(group_id),
            Call::ListGroups { .. } | Call::Survey(SurveyCall::After(_)) => None,
        }
    }

    /// The reply to a call that no shard has seen: it is loading, or it is elsewhere (G9).
    pub fn refuse(self, error: ErrorCode) -> Reply {
        let error_code = error.code();
        match self {
            Call::JoinGroup(request) => Reply::JoinGroup(JoinGroupResponse {
                error_code,
                member_id: request.member_id,
                ..JoinGroupResponse::default()
            }),
            Call::SyncGroup(_) => Reply::SyncGroup(SyncGroupResponse {
                error_code,
                ..SyncGroupResponse::default()
            }),
            // A member needn't know that its group is being loaded.
            Call::Heartbeat(_) if error == ErrorCode::CoordinatorLoadInProgress => {
                Reply::Heartbeat(HeartbeatResponse::default())
            }
            Call::Heartbeat(_) => Reply::Heartbeat(HeartbeatResponse {
                error_code,
                ..HeartbeatResponse::default()
            }),
            Call::LeaveGroup(_) => Reply::LeaveGroup(LeaveGroupResponse {
                error_code,
                ..LeaveGroupResponse::default()
            }),
            Call::ConsumerGroupHeartbeat(_) => refused_heartbeat(error_code),
            Call::ConsumerGroupDescribe(group_id) => refused_description(group_id, error_code),
            Call::ShareGroupHeartbeat(_) => refused_share_heartbeat(error_code),
            Call::ShareGroupDescribe(group_id) => refused_share(group_id, error_code),
            Call::StreamsGroupHeartbeat(_) => refused_streams_heartbeat(error_code),
            Call::StreamsGroupDescribe(group_id) => refused_streams(group_id, error_code),
            Call::OffsetCommit(request) => {
                Reply::OffsetCommit(crate::offsets::refused_commit(&request, error))
            }
            Call::OffsetFetch(call) => Reply::OffsetFetch(OffsetFetchResponseGroup {
                group_id: call.group.group_id,
                error_code,
                ..OffsetFetchResponseGroup::default()
            }),
            Call::OffsetDelete(_) => Reply::OffsetDelete(OffsetDeleteResponse {
                error_code,
                ..OffsetDeleteResponse::default()
            }),
            Call::TxnOffsetCommit(call) => {
                Reply::TxnOffsetCommit(crate::shard::refused_txn_commit(&call.request, error))
            }
            Call::EndTransaction(_) => Reply::EndTransaction(error),
            Call::DescribeGroup(group_id) => Reply::DescribeGroup(DescribedGroup {
                group_id,
                error_code,
                ..DescribedGroup::default()
            }),
            Call::Survey(_) => Reply::Survey(Survey::default()),
            Call::ListGroups { .. } => Reply::ListGroups(Vec::new()),
            Call::DeleteGroup(group_id) => Reply::DeleteGroup(DeletableGroupResult {
                group_id,
                error_code,
            }),
            Call::MoveOffsets(_) => Reply::MoveOffsets(Moved::Refused(error)),
            Call::Tag(_) => Reply::Tag(error),
            Call::Kick { .. } => Reply::Kick(error),
        }
    }
}

impl Reply {
    /// The same reply with `error` in place of success, for when the records that it waits for could not be stored.
    pub fn into_error(self, error: ErrorCode) -> Reply {
        let error_code = error.code();
        match self {
            Reply::JoinGroup(response) => Reply::JoinGroup(JoinGroupResponse {
                error_code,
                member_id: response.member_id,
                ..JoinGroupResponse::default()
            }),
            Reply::SyncGroup(_) => Reply::SyncGroup(SyncGroupResponse {
                error_code,
                ..SyncGroupResponse::default()
            }),
            Reply::Heartbeat(_) => Reply::Heartbeat(HeartbeatResponse {
                error_code,
                ..HeartbeatResponse::default()
            }),
            Reply::LeaveGroup(_) => Reply::LeaveGroup(LeaveGroupResponse {
                error_code,
                ..LeaveGroupResponse::default()
            }),
            Reply::ConsumerGroupHeartbeat(_) => refused_heartbeat(error_code),
            Reply::ConsumerGroupDescribe(group) => refused_description(group.group_id, error_code),
            Reply::ShareGroupHeartbeat(_) => refused_share_heartbeat(error_code),
            Reply::ShareGroupDescribe(group) => refused_share(group.group_id, error_code),
            Reply::StreamsGroupHeartbeat { .. } => refused_streams_heartbeat(error_code),
            Reply::StreamsGroupDescribe(group) => refused_streams(group.group_id, error_code),
            Reply::OffsetCommit(mut response) => {
                for topic in &mut response.topics {
                    topic
                        .partitions
                        .iter_mut()
                        .for_each(|p| p.error_code = error_code);
                }
                Reply::OffsetCommit(response)
            }
            Reply::OffsetFetch(response) => Reply::OffsetFetch(OffsetFetchResponseGroup {
                group_id: response.group_id,
                error_code,
                ..OffsetFetchResponseGroup::default()
            }),
            Reply::OffsetDelete(_) => Reply::OffsetDelete(OffsetDeleteResponse {
                error_code,
                ..OffsetDeleteResponse::default()
            }),
            Reply::TxnOffsetCommit(mut response) => {
                let topics = response.topics.iter_mut();
                let partitions = topics.flat_map(|topic| &mut topic.partitions);
                partitions.for_each(|partition| partition.error_code = error_code);
                Reply::TxnOffsetCommit(response)
            }
            Reply::EndTransaction(_) => Reply::EndTransaction(error),
            Reply::DescribeGroup(group) => Reply::DescribeGroup(DescribedGroup {
                group_id: group.group_id,
                error_code,
                ..DescribedGroup::default()
            }),
            Reply::Survey(_) => Reply::Survey(Survey::default()),
            Reply::ListGroups(_) => Reply::ListGroups(Vec::new()),
            Reply::DeleteGroup(result) => Reply::DeleteGroup(DeletableGroupResult {
                error_code,
                ..result
            }),
            Reply::MoveOffsets(_) => Reply::MoveOffsets(Moved::Refused(error)),
            Reply::Tag(_) => Reply::Tag(error),
            Reply::Kick(_) => Reply::Kick(error),
        }
    }
}

fn refused_heartbeat(error_code: i16) -> Reply {
    Reply::ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse {
        error_code,
        ..ConsumerGroupHeartbeatResponse::default()
    })
}

fn refused_description(group_id: Str, error_code: i16) -> Reply {
    Reply::ConsumerGroupDescribe(consumer_group_describe_response::DescribedGroup {
        group_id,
        error_code,
        ..Default::default()
    })
}

fn refused_share_heartbeat(error_code: i16) -> Reply {
    Reply::ShareGroupHeartbeat(ShareGroupHeartbeatResponse {
        error_code,
        ..ShareGroupHeartbeatResponse::default()
    })
}

fn refused_share(group_id: Str, error_code: i16) -> Reply {
    Reply::ShareGroupDescribe(share_group_describe_response::DescribedGroup {
        group_id,
        error_code,
        ..Default::default()
    })
}

fn refused_streams_heartbeat(error_code: i16) -> Reply {
    Reply::StreamsGroupHeartbeat {
        response: StreamsGroupHeartbeatResponse {
            error_code,
            ..StreamsGroupHeartbeatResponse::default()
        },
        missing: Vec::new(),
    }
}

fn refused_streams(group_id: Str, error_code: i16) -> Reply {
    Reply::StreamsGroupDescribe(streams_group_describe_response::DescribedGroup {
        group_id,
        error_code,
        ..Default::default()
    })
}
