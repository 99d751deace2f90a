//! What the shard answers: Kafka's own responses, and a few of ours. Nothing in this file decides anything.

use catchword_wire::messages::consumer_group_describe_response;
use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::delete_groups_response::DeletableGroupResult;
use catchword_wire::messages::describe_groups_response::DescribedGroup;
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::messages::offset_fetch_response::OffsetFetchResponseGroup;
use catchword_wire::messages::share_group_describe_response;
use catchword_wire::messages::streams_group_describe_response;
use catchword_wire::messages::{
    ConsumerGroupHeartbeatResponse, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse,
    OffsetCommitResponse, OffsetDeleteResponse, ShareGroupHeartbeatResponse,
    StreamsGroupHeartbeatResponse, SyncGroupResponse, TxnOffsetCommitResponse,
};
use catchword_wire::{ErrorCode, Str};

use crate::call::Call;
use crate::group::Roster;
use crate::shard::Survey;

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
    EmptyShareGroup(ErrorCode),
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
    /// `None` if there is no such group.
    Roster(Option<Box<Roster>>),
    Survey(Survey),
    ListGroups(Vec<ListedGroup>),
    DeleteGroup(DeletableGroupResult),
    MoveOffsets(Moved),
    Tag(ErrorCode),
    Kick(ErrorCode),
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

impl Call {
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
            Call::EmptyShareGroup { .. } => Reply::EmptyShareGroup(error),
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
            Call::Roster(_) => Reply::Roster(None),
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
            Reply::EmptyShareGroup(_) => Reply::EmptyShareGroup(error),
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
            Reply::Roster(_) => Reply::Roster(None),
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
