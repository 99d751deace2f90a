//! A streams group in the log: its records, and the group out of its records.

use std::collections::BTreeMap;

use catchword_wire::Str;
use catchword_wire::records::streams_group_current_member_assignment_value::TaskIds as HeldTasks;
use catchword_wire::records::streams_group_member_metadata_value::{Endpoint, KeyValue};
use catchword_wire::records::streams_group_metadata_value::LastAssignmentConfig;
use catchword_wire::records::streams_group_target_assignment_member_value::TaskIds;
use catchword_wire::records::{
    StreamsGroupCurrentMemberAssignmentValue, StreamsGroupMemberMetadataValue,
    StreamsGroupMetadataValue, StreamsGroupTargetAssignmentMemberValue,
    StreamsGroupTargetAssignmentMetadataValue,
};

use super::member::{Current, FIRST_STATE, MemberState, Said};
use super::task::{Held, Role, Task, Tasks, lists, of_lists};
use super::topology::Topology;
use super::{LEFT, StreamsGroup};
use crate::effect::{Headers, Output};
use crate::record::headers::{Cause, because};
use crate::record::streams::Change;
use crate::record::writer::RecordWriter;

impl StreamsGroup {
    /// Applies a record. False if the group is gone by it.
    pub(crate) fn replay(&mut self, change: Change) -> bool {
        match change {
            Change::Group(Some(value)) => {
                self.epoch = value.epoch;
                self.metadata_hash = value.metadata_hash;
                self.validated_topology = value.validated_topology_epoch;
                let configs = value.last_assignment_configs.into_iter().flatten();
                let own = |c: LastAssignmentConfig| (c.key.detached(), c.value.detached());
                self.assigned_by = configs.map(own).collect();
            }
            Change::Group(None) => return false,
            Change::Topology(Some(value)) => self.topology = Some(Topology::from_record(value)),
            Change::Topology(None) => self.topology = None,
            Change::Member(id, Some(value)) => {
                let member = self.members.or_default(id.detached());
                member.said = Said::from_record(&value);
            }
            Change::Member(id, None) => drop(self.take_member(&id)),
            Change::TargetEpoch(value) => {
                let value = value.unwrap_or_default();
                self.assignment_epoch = value.assignment_epoch;
                self.assigned_at_ms = value.assignment_timestamp;
            }
            Change::Target(id, Some(value)) => {
                self.targets.insert(id.detached(), target_from(&value));
            }
            Change::Target(id, None) => drop(self.targets.remove(&id)),
            Change::Current(id, Some(value)) => {
                self.members.or_default(id.detached());
                self.put_current(&id, Current::from_record(&value));
            }
            Change::Current(id, None) => {
                let left = Current {
                    epoch: LEFT,
                    previous_epoch: LEFT,
                    ..Current::default()
                };
                self.put_current(&id, left);
            }
        }
        true
    }

    /// Takes over what a member says of itself, and writes it. The member must be there.
    pub(super) fn set_said(&mut self, id: &Str, said: Said, out: &mut Output) {
        self.put(Change::Member(id.clone(), Some(said.value())), out);
        if let Some(member) = self.members.get_mut(id) {
            member.said = said;
        }
    }

    /// Takes over what a member has, and writes it. The member must be there.
    pub(super) fn set_current(&mut self, id: &Str, current: Current, out: &mut Output) {
        self.put(Change::Current(id.clone(), Some(current.value())), out);
        self.put_current(id, current);
    }

    pub(super) fn set_topology(&mut self, topology: Topology, out: &mut Output) {
        self.put(Change::Topology(Some(topology.value().clone())), out);
        self.topology = Some(topology);
    }

    pub(super) fn write_group(&self, out: &mut Output) {
        self.put(Change::Group(Some(self.value())), out);
    }

    pub(super) fn write_target(&self, id: &Str, target: &Tasks, out: &mut Output) {
        self.put(Change::Target(id.clone(), Some(target_value(target))), out);
    }

    pub(super) fn write_target_epoch(&self, out: &mut Output) {
        self.put(Change::TargetEpoch(Some(self.target_epoch())), out);
    }

    /// Tombstones for a member that is gone.
    pub(super) fn write_removed(&self, id: &Str, out: &mut Output) {
        self.put(Change::Current(id.clone(), None), out);
        self.put(Change::Target(id.clone(), None), out);
        self.put(Change::Member(id.clone(), None), out);
    }

    fn put(&self, change: Change, out: &mut Output) {
        change.write(&mut self.writer(because(Cause::Rebalance), out));
    }

    fn writer<'a>(&'a self, headers: Headers, out: &'a mut Output) -> RecordWriter<'a> {
        RecordWriter {
            group_id: &self.id,
            headers,
            out,
        }
    }

    /// Writes all records of the group, in Kafka's order.
    pub(crate) fn write(&self, headers: Headers, out: &mut Output) {
        let mut writer = self.writer(headers, out);
        let mut put = |change: Change| change.write(&mut writer);
        for (id, member) in self.members.iter() {
            put(Change::Member(id.clone(), Some(member.said.value())));
        }
        if let Some(topology) = &self.topology {
            put(Change::Topology(Some(topology.value().clone())));
        }
        put(Change::Group(Some(self.value())));
        for (id, target) in &self.targets {
            put(Change::Target(id.clone(), Some(target_value(target))));
        }
        put(Change::TargetEpoch(Some(self.target_epoch())));
        for (id, member) in self.members.iter() {
            put(Change::Current(id.clone(), Some(member.current.value())));
        }
    }

    /// The group is deleted, or becomes one of another kind; it has no members.
    pub(crate) fn end(&self, headers: &Headers, out: &mut Output) {
        let mut writer = self.writer(headers.clone(), out);
        for gone in [
            Change::TargetEpoch(None),
            Change::Group(None),
            Change::Topology(None),
        ] {
            gone.write(&mut writer);
        }
    }

    fn value(&self) -> StreamsGroupMetadataValue {
        let config = |(key, value): (&Str, &Str)| LastAssignmentConfig {
            key: key.clone(),
            value: value.clone(),
        };
        StreamsGroupMetadataValue {
            epoch: self.epoch,
            metadata_hash: self.metadata_hash,
            validated_topology_epoch: self.validated_topology,
            last_assignment_configs: Some(self.assigned_by.iter().map(config).collect()),
        }
    }

    fn target_epoch(&self) -> StreamsGroupTargetAssignmentMetadataValue {
        StreamsGroupTargetAssignmentMetadataValue {
            assignment_epoch: self.assignment_epoch,
            assignment_timestamp: self.assigned_at_ms,
        }
    }
}

impl Said {
    fn value(&self) -> StreamsGroupMemberMetadataValue {
        let tag = |(key, value): (&Str, &Str)| KeyValue {
            key: key.clone(),
            value: value.clone(),
        };
        let endpoint = |(host, port): &(Str, u16)| Endpoint {
            host: host.clone(),
            port: *port,
        };
        StreamsGroupMemberMetadataValue {
            instance_id: self.instance_id.clone(),
            rack_id: self.rack_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            topology_epoch: self.topology_epoch,
            process_id: self.process_id.clone(),
            user_endpoint: self.endpoint.as_ref().map(endpoint),
            client_tags: self.tags.iter().map(tag).collect(),
        }
    }

    fn from_record(value: &StreamsGroupMemberMetadataValue) -> Said {
        let own = |text: &Option<Str>| text.as_ref().map(Str::detached);
        let endpoint = value.user_endpoint.as_ref();
        let tags = value.client_tags.iter();
        Said {
            instance_id: own(&value.instance_id),
            rack_id: own(&value.rack_id),
            client_id: value.client_id.detached(),
            client_host: value.client_host.detached(),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            topology_epoch: value.topology_epoch,
            process_id: value.process_id.detached(),
            endpoint: endpoint.map(|e| (e.host.detached(), e.port)),
            tags: tags
                .map(|t| (t.key.detached(), t.value.detached()))
                .collect(),
        }
    }
}

impl Current {
    fn value(&self) -> StreamsGroupCurrentMemberAssignmentValue {
        StreamsGroupCurrentMemberAssignmentValue {
            member_epoch: self.epoch,
            previous_member_epoch: self.previous_epoch,
            state: self.state.code(FIRST_STATE),
            active_tasks: held_value(&self.assigned, Role::Active),
            standby_tasks: held_value(&self.assigned, Role::Standby),
            warmup_tasks: held_value(&self.assigned, Role::Warmup),
            active_tasks_pending_revocation: held_value(&self.revoking, Role::Active),
            standby_tasks_pending_revocation: held_value(&self.revoking, Role::Standby),
            warmup_tasks_pending_revocation: held_value(&self.revoking, Role::Warmup),
        }
    }

    /// Active tasks of brokers that did not keep the epoch of each are taken for given at the member's.
    fn from_record(value: &StreamsGroupCurrentMemberAssignmentValue) -> Current {
        let held = |active: &[HeldTasks], standby: &[HeldTasks], warmup: &[HeldTasks]| {
            let mut held = Held::new();
            for list in active {
                let epochs = list.assignment_epochs.as_deref().unwrap_or_default();
                let epochs = epochs.iter().copied();
                let epochs = epochs.chain(std::iter::repeat(value.member_epoch));
                let list = std::iter::once((&list.subtopology_id, list.partitions.as_slice()));
                held.extend(of_lists(list, Role::Active).zip(epochs));
            }
            for (role, kept) in [(Role::Standby, standby), (Role::Warmup, warmup)] {
                let kept = kept
                    .iter()
                    .map(|l| (&l.subtopology_id, l.partitions.as_slice()));
                held.extend(of_lists(kept, role).map(|task| (task, 0)));
            }
            held
        };
        Current {
            epoch: value.member_epoch,
            previous_epoch: value.previous_member_epoch,
            state: MemberState::from_code(value.state, FIRST_STATE),
            assigned: held(
                &value.active_tasks,
                &value.standby_tasks,
                &value.warmup_tasks,
            ),
            revoking: held(
                &value.active_tasks_pending_revocation,
                &value.standby_tasks_pending_revocation,
                &value.warmup_tasks_pending_revocation,
            ),
        }
    }
}

/// Only active tasks are kept with their epochs, as in Kafka.
fn held_value(held: &Held, role: Role) -> Vec<HeldTasks> {
    let mut epochs: BTreeMap<&Str, Vec<i32>> = BTreeMap::new();
    for (task, epoch) in held.iter().filter(|(task, _)| task.role == Role::Active) {
        epochs.entry(&task.subtopology).or_default().push(*epoch);
    }
    lists(held.keys(), role, |subtopology_id, partitions| HeldTasks {
        assignment_epochs: match role {
            Role::Active => epochs.get(&subtopology_id).cloned(),
            Role::Standby | Role::Warmup => None,
        },
        subtopology_id,
        partitions,
    })
}

fn target_value(target: &Tasks) -> StreamsGroupTargetAssignmentMemberValue {
    let of = |role| {
        let list = |subtopology_id, partitions| TaskIds {
            subtopology_id,
            partitions,
        };
        lists(target.iter(), role, list)
    };
    StreamsGroupTargetAssignmentMemberValue {
        active_tasks: of(Role::Active),
        standby_tasks: of(Role::Standby),
        warmup_tasks: of(Role::Warmup),
    }
}

fn target_from(value: &StreamsGroupTargetAssignmentMemberValue) -> Tasks {
    let kinds = [
        (Role::Active, &value.active_tasks),
        (Role::Standby, &value.standby_tasks),
        (Role::Warmup, &value.warmup_tasks),
    ];
    let tasks = kinds.into_iter().flat_map(|(role, kept)| {
        let kept = kept
            .iter()
            .map(|l| (&l.subtopology_id, l.partitions.as_slice()));
        of_lists(kept, role).collect::<Vec<Task>>()
    });
    tasks.collect()
}
