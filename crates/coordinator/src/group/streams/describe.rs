//! StreamsGroupDescribe and ListGroups: what a streams group looks like from outside.

use catchword_wire::messages::list_groups_response::ListedGroup;
use catchword_wire::messages::streams_group_describe_response::{
    Assignment, DescribedGroup, Endpoint, KeyValue, Member as DescribedMember, Subtopology,
    TaskIds, TopicInfo, Topology as DescribedTopology,
};
use catchword_wire::records::streams_group_topology_value as kept;
use catchword_wire::{ErrorCode, Str};

use super::StreamsGroup;
use super::member::Member;
use super::task::{Role, Task, lists};
use super::topology::Topology;
use crate::group::{Awaited, Awaits, RosterMember};

/// Kafka's name for the kind.
const STREAMS: &str = "streams";

impl StreamsGroup {
    /// Kafka's name for where the group is.
    fn state(&self) -> &'static str {
        let validated = self.validated_topology;
        let is_ready = self
            .topology
            .as_ref()
            .is_some_and(|t| t.epoch() == validated);
        let mut members = self.members.values();
        if self.members.is_empty() {
            "Empty"
        } else if !is_ready {
            "NotReady"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if members.any(|member| !member.is_reconciled_to(self.assignment_epoch)) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    pub(crate) fn list(&self) -> ListedGroup {
        ListedGroup {
            group_id: self.id.clone(),
            protocol_type: STREAMS.into(),
            group_state: self.state().into(),
            group_type: STREAMS.into(),
        }
    }

    /// The members. They share out tasks, each of which may read several topics.
    pub(crate) fn roster(&self) -> Vec<RosterMember> {
        let member = |(id, member): (&Str, &Member)| RosterMember {
            id: id.clone(),
            instance_id: member.said.instance_id.clone(),
            client_id: member.said.client_id.clone(),
            client_host: member.said.client_host.clone(),
            partitions: Vec::new(),
        };
        self.members.iter().map(member).collect()
    }

    /// Whom it waits for: who runs what is another's by now.
    pub(crate) fn awaited(&self) -> Vec<Awaited> {
        let awaits = |(id, member): (&Str, &Member)| {
            let target = self.targets.get(id);
            let held = member.current.tasks();
            let others = held.filter(|task| !target.is_some_and(|target| target.contains(task)));
            let others: Vec<(Str, i32)> = others
                .map(|task| (task.subtopology.clone(), task.partition))
                .collect();
            let until_ms = member.revocation.at_ms();
            let told_ms = until_ms.map(|at_ms| at_ms - i64::from(member.rebalance_timeout_ms()));
            (!others.is_empty()).then(|| Awaited {
                member_id: id.clone(),
                client_id: member.said.client_id.clone(),
                client_host: member.said.client_host.clone(),
                what: Awaits::GiveUp(others),
                since_ms: told_ms.or((self.assigned_at_ms > 0).then_some(self.assigned_at_ms)),
                until_ms,
            })
        };
        self.members.iter().filter_map(awaits).collect()
    }

    pub(crate) fn describe(&self) -> DescribedGroup {
        let members = self.members.iter();
        DescribedGroup {
            group_id: self.id.clone(),
            group_state: self.state().into(),
            group_epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            topology: self.topology.as_ref().map(|t| self.describe_topology(t)),
            members: members
                .map(|(id, member)| self.describe_member(id, member))
                .collect(),
            ..DescribedGroup::default()
        }
    }

    /// With the partitions that internal topics have, where that is known; else as the application said.
    fn describe_topology(&self, topology: &Topology) -> DescribedTopology {
        let configured = self.configured.as_ref().filter(|c| c.is_ready());
        let info = |topic: &kept::TopicInfo| {
            let decided = configured.and_then(|c| c.partitions.get(&topic.name));
            let config = |config: &kept::TopicConfig| KeyValue {
                key: config.key.clone(),
                value: config.value.clone(),
            };
            TopicInfo {
                name: topic.name.clone(),
                partitions: decided.copied().unwrap_or(topic.partitions),
                replication_factor: topic.replication_factor,
                topic_configs: topic.topic_configs.iter().map(config).collect(),
            }
        };
        let infos = |topics: &[kept::TopicInfo]| {
            let mut infos: Vec<TopicInfo> = topics.iter().map(info).collect();
            infos.sort_by(|a, b| a.name.cmp(&b.name));
            infos
        };
        let sorted = |topics: &[Str]| {
            let mut topics = topics.to_vec();
            topics.sort();
            topics
        };
        let subtopology = |of: &kept::Subtopology| Subtopology {
            subtopology_id: of.subtopology_id.clone(),
            source_topics: sorted(&of.source_topics),
            repartition_sink_topics: sorted(&of.repartition_sink_topics),
            state_changelog_topics: infos(&of.state_changelog_topics),
            repartition_source_topics: infos(&of.repartition_source_topics),
        };
        DescribedTopology {
            epoch: topology.epoch(),
            subtopologies: Some(topology.subtopologies().iter().map(subtopology).collect()),
        }
    }

    fn describe_member(&self, id: &Str, member: &Member) -> DescribedMember {
        let said = &member.said;
        let target = self.targets.get(id).into_iter().flatten();
        DescribedMember {
            member_id: id.clone(),
            member_epoch: member.current.epoch,
            instance_id: said.instance_id.clone(),
            rack_id: said.rack_id.clone(),
            client_id: said.client_id.clone(),
            client_host: said.client_host.clone(),
            topology_epoch: said.topology_epoch,
            process_id: said.process_id.clone(),
            user_endpoint: said.endpoint.as_ref().map(|(host, port)| Endpoint {
                host: host.clone(),
                port: *port,
            }),
            client_tags: said
                .tags
                .iter()
                .map(|(key, value)| KeyValue {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
            assignment: assignment(member.current.assigned.keys()),
            target_assignment: assignment(target),
            ..DescribedMember::default()
        }
    }
}

fn assignment<'a>(tasks: impl Iterator<Item = &'a Task> + Clone) -> Assignment {
    let of = |role| {
        let list = |subtopology_id, partitions| TaskIds {
            subtopology_id,
            partitions,
        };
        lists(tasks.clone(), role, list)
    };
    Assignment {
        active_tasks: of(Role::Active),
        standby_tasks: of(Role::Standby),
        warmup_tasks: of(Role::Warmup),
    }
}

/// A group that does not exist, or is of another kind.
pub(crate) fn describe_unknown(group_id: Str, is_other: bool) -> DescribedGroup {
    let why = match is_other {
        true => format!("Group {group_id} is not a streams group."),
        false => format!("Group {group_id} not found."),
    };
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(why.into()),
        group_id,
        ..DescribedGroup::default()
    }
}
