//! A classic group in the log: its record, and the group out of its record.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_wire::Str;
use catchword_wire::records::GroupMetadataValue;
use catchword_wire::records::group_metadata_value::MemberMetadata;

use super::ClassicGroup;
use crate::group::Scope;
use crate::group::member::{Member, Protocol};
use crate::group::state::ClassicState;
use crate::record::headers::{Cause, because};
use crate::record::{ReplayError, group_metadata};
use crate::timer::Deadline;

impl ClassicGroup {
    /// Writes the group as it is now.
    pub(super) fn record(&mut self, scope: &mut Scope<'_>) {
        let members = self
            .members
            .values()
            .map(|member| self.member_metadata(member))
            .collect();
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation,
            protocol: self.protocol_name.clone(),
            leader: self.leader.clone(),
            current_state_timestamp: self.state_since_ms.unwrap_or(-1),
            members,
        };
        self.write(&value, scope);
    }

    /// Writes that there is such a group, before its first member is in.
    pub(crate) fn record_created(&mut self, scope: &mut Scope<'_>) {
        let value = GroupMetadataValue {
            current_state_timestamp: scope.now_ms,
            ..GroupMetadataValue::default()
        };
        self.write(&value, scope);
    }

    fn write(&mut self, value: &GroupMetadataValue, scope: &mut Scope<'_>) {
        let headers = because(Cause::Rebalance);
        self.recorded = Some(group_metadata(&self.id, value, &headers, scope.out));
    }

    fn member_metadata(&self, member: &Member) -> MemberMetadata {
        let subscription = self
            .protocol_name
            .as_ref()
            .and_then(|name| member.metadata(name));
        MemberMetadata {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            rebalance_timeout: member.rebalance_timeout_ms,
            session_timeout: member.session_timeout_ms,
            subscription: subscription.cloned().unwrap_or_default(),
            assignment: member.assignment.clone(),
        }
    }

    /// The group that a record describes. Members keep only the protocol that was chosen; they say the rest when they
    /// rejoin.
    pub(crate) fn load(
        id: Str,
        value: GroupMetadataValue,
        recorded: Bytes,
    ) -> Result<ClassicGroup, ReplayError> {
        let mut group = ClassicGroup::new(id, 0);
        group.recorded = Some(recorded);
        group.generation = value.generation;
        group.protocol_type = Some(value.protocol_type.detached()).filter(|kind| !kind.is_empty());
        group.protocol_name = value.protocol.as_ref().map(Str::detached);
        group.leader = value.leader.as_ref().map(Str::detached);
        let since_ms = value.current_state_timestamp;
        group.state_since_ms = (since_ms != -1).then_some(since_ms);
        // A member id or a static name twice would break what we count; the last one holds.
        let members: BTreeMap<Str, MemberMetadata> = value
            .members
            .into_iter()
            .map(|m| (m.member_id.clone(), m))
            .collect();
        if !members.is_empty() {
            let Some(protocol) = group.protocol_name.clone() else {
                return Err(ReplayError::NoProtocol(group.id));
            };
            group.state = ClassicState::Stable;
            group.previous_state = ClassicState::CompletingRebalance;
            for member in members.into_values() {
                let taken = |name: &Str| group.static_members.contains_key(name);
                if !member.group_instance_id.as_ref().is_some_and(taken) {
                    group.add(load_member(member, &protocol), &value.protocol_type);
                }
            }
        }
        group.compute_subscription();
        Ok(group)
    }

    /// The log has been read: members are given their session, from now.
    pub(crate) fn loaded(&mut self, scope: &mut Scope<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for member_id in &ids {
            self.restart_session(member_id, scope);
        }
        // The limit may be lower than it was.
        if i32::try_from(ids.len()).unwrap_or(i32::MAX) > scope.config.group_max_size {
            self.prepare_rebalance(scope);
        }
    }
}

fn load_member(member: MemberMetadata, protocol: &Str) -> Member {
    let metadata = Bytes::copy_from_slice(&member.subscription);
    // Version 0 had one timeout for both.
    let rebalance_timeout_ms = match member.rebalance_timeout {
        -1 => member.session_timeout,
        own => own,
    };
    Member {
        id: member.member_id.detached(),
        instance_id: member.group_instance_id.as_ref().map(Str::detached),
        client_id: member.client_id.detached(),
        client_host: member.client_host.detached(),
        rebalance_timeout_ms,
        session_timeout_ms: member.session_timeout,
        protocols: vec![Protocol {
            name: protocol.clone(),
            metadata,
        }],
        assignment: Bytes::copy_from_slice(&member.assignment),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
        session: Deadline::default(),
    }
}
