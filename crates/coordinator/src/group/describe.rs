//! DescribeGroups and ListGroups: what a group looks like from outside.

use catchword_wire::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::{ErrorCode, Str};

use super::classic::ClassicGroup;
use super::member::Member;
use super::state::{ClassicState, DEAD};

/// Kafka's name for the kind.
const CLASSIC: &str = "classic";

impl ClassicGroup {
    pub(crate) fn describe(&self) -> DescribedGroup {
        let stable = self.state() == ClassicState::Stable;
        let protocol = self.protocol_name().filter(|_| stable);
        DescribedGroup {
            group_id: self.id().clone(),
            group_state: self.state().name().into(),
            protocol_type: self.protocol_type().cloned().unwrap_or_default(),
            protocol_data: protocol.cloned().unwrap_or_default(),
            members: self
                .members()
                .map(|member| describe_member(member, protocol))
                .collect(),
            ..DescribedGroup::default()
        }
    }

    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id().clone(),
            protocol_type: self.protocol_type().cloned().unwrap_or_default(),
            group_state: self.state().name().into(),
            group_type: CLASSIC.into(),
        }
    }
}

/// The metadata is told only where the protocol is settled.
fn describe_member(member: &Member, protocol: Option<&Str>) -> DescribedGroupMember {
    let metadata = protocol.and_then(|protocol| member.metadata(protocol));
    DescribedGroupMember {
        member_id: member.id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: metadata.cloned().unwrap_or_default(),
        member_assignment: member.assignment.clone(),
    }
}

/// A group that does not exist is a dead one; KIP-1043 has an error for it from version 6 on.
pub(crate) fn describe_unknown(group_id: Str, api_version: i16) -> DescribedGroup {
    let is_error = api_version >= 6;
    DescribedGroup {
        error_code: if is_error {
            ErrorCode::GroupIdNotFound.code()
        } else {
            0
        },
        error_message: is_error.then(|| Str::from(format!("Group {group_id} not found."))),
        group_id,
        group_state: DEAD.into(),
        ..DescribedGroup::default()
    }
}

/// Whether a group passes the filters of a ListGroups request, which are not case-sensitive.
pub(crate) fn passes(group: &ListedGroup, states: &[Str], types: &[Str]) -> bool {
    let state = |wanted: &Str| wanted.trim().eq_ignore_ascii_case(&group.group_state);
    let kind = |wanted: &Str| wanted.eq_ignore_ascii_case(&group.group_type);
    (states.is_empty() || states.iter().any(state)) && (types.is_empty() || types.iter().any(kind))
}
