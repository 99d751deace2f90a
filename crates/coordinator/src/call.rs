//! What goes into the shard: Kafka's own requests, and a few of ours. Nothing in this file decides anything.

use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::messages::{
    ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    OffsetCommitRequest, OffsetDeleteRequest, ShareGroupHeartbeatRequest,
    StreamsGroupHeartbeatRequest, SyncGroupRequest, TxnOffsetCommitRequest,
};
use catchword_wire::{Str, Uuid};

use crate::effect::Marker;
use crate::ledger::Place;
use crate::record::headers::Cause;
use crate::shard::SurveyCall;

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

/// What is to be with a group that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// The answer is GROUP_ID_NOT_FOUND.
    Refused,
    /// It is as good as an empty one.
    Allowed,
    /// It is made.
    Made,
}

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
    /// Asks whether a share group has no members, as it must be when its places are moved.
    EmptyShareGroup {
        group_id: Str,
        absent: Absent,
    },
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
    /// Who is in a group and who has what; Kafka has no such request.
    Roster(Str),
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
            Call::ShareGroupDescribe(group_id) | Call::EmptyShareGroup { group_id, .. } => {
                Some(group_id)
            }
            Call::StreamsGroupHeartbeat(request) => Some(&request.group_id),
            Call::StreamsGroupDescribe(group_id) => Some(group_id),
            Call::OffsetCommit(request) => Some(&request.group_id),
            Call::OffsetFetch(call) => Some(&call.group.group_id),
            Call::OffsetDelete(request) => Some(&request.group_id),
            Call::TxnOffsetCommit(call) => Some(&call.request.group_id),
            Call::EndTransaction(_) => None,
            Call::DescribeGroup(group_id)
            | Call::Roster(group_id)
            | Call::Survey(SurveyCall::One(group_id))
            | Call::DeleteGroup(group_id) => Some(group_id),
            Call::MoveOffsets(call) => Some(&call.group_id),
            Call::Tag(call) => Some(&call.group_id),
            Call::Kick { group_id, .. } => Some(group_id),
            Call::ListGroups { .. } | Call::Survey(SurveyCall::After(_)) => None,
        }
    }
}
