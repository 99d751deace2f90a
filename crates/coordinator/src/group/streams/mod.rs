//! A streams group of KIP-1071: the instances of one Kafka Streams application, and which of them runs which task.
//!
//! Epochs and the way of a member to its target are those of a consumer group; what is shared out are tasks, which come
//! out of the application's topology and the topics that there are. The first member brings the topology; until all
//! topics that it needs exist and are cut as they must be, members have no tasks, and are told why.
//!
//! A member says things in `heartbeat`, `topology` and `configure` make tasks of topics, `target` shares them out (by
//! `assignor::sticky`), `reconcile` leads a member to its target, `leave` takes members out, `log` is the group's form
//! in the log, `describe` and `endpoints` how it looks.
//!
//! Invariants: an active task is one member's at most; nothing here fails once it has begun to change the group.

mod commit;
mod configure;
mod describe;
mod endpoints;
mod heartbeat;
mod leave;
mod log;
mod member;
mod reconcile;
mod status;
mod target;
mod task;
mod topology;
mod validate;

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::{ErrorCode, Str};

use super::Members;
use crate::effect::Output;
use crate::offsets::Expiry;
use configure::Configured;
use member::{Current, Member};
use task::{Role, Tasks};
use topology::Topology;

pub(crate) use describe::describe_unknown;
pub(crate) use heartbeat::Heard;
pub(crate) use validate::{LEFT, validate};

/// Why a call is refused: Kafka's error and words for people.
pub(crate) type Refused = (ErrorCode, Str);

/// The one thing by which Kafka's assignor is told how to assign.
const STANDBYS: &str = "num.standby.replicas";

/// The state of a streams group.
#[derive(Debug, Clone)]
pub(crate) struct StreamsGroup {
    id: Str,
    epoch: i32,
    /// Of the topics that the application needs, as they were when the epoch began.
    metadata_hash: i64,
    /// The topology's epoch, if all its topics were there when the group's epoch began; else -1.
    validated_topology: i32,
    /// What the last epoch is assigned by, as Kafka names it.
    assigned_by: BTreeMap<Str, Str>,
    assignment_epoch: i32,
    /// When targets were last made, or when the last member went.
    assigned_at_ms: i64,
    /// There is one as soon as there was a member.
    topology: Option<Topology>,
    members: Members<Member>,
    targets: BTreeMap<Str, Tasks>,
    /// Who has a task, given by its subtopology and partition, or has not given it up yet, and in which roles.
    holders: BTreeMap<(Str, i32), BTreeSet<(Str, Role)>>,

    // What follows is not kept in the log.
    /// The topology with its topics, as of the image of this version.
    configured: Option<Configured>,
    seen_version: Option<u64>,
    /// Before that a group that was empty assigns nothing: more members may come.
    assign_from_ms: i64,
    /// Counts changes of who answers queries for which partitions.
    endpoint_epoch: i32,
    /// The member that wants all to end.
    shutdown_by: Option<Str>,
}

impl StreamsGroup {
    pub(crate) fn new(id: Str) -> StreamsGroup {
        StreamsGroup {
            id,
            // As Kafka counts: the first member begins epoch 2.
            epoch: 1,
            metadata_hash: 0,
            validated_topology: -1,
            assigned_by: BTreeMap::new(),
            assignment_epoch: 1,
            assigned_at_ms: 0,
            topology: None,
            members: Members::default(),
            targets: BTreeMap::new(),
            holders: BTreeMap::new(),
            configured: None,
            seen_version: None,
            assign_from_ms: i64::MIN,
            endpoint_epoch: 0,
            shutdown_by: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether a member may be reading the topic.
    pub(crate) fn is_subscribed_to(&self, topic: &str) -> bool {
        let reader = self.topology.as_ref().and_then(|t| t.reader_of(topic));
        !self.is_empty() && reader.is_some()
    }

    /// Since when nobody reads what is not subscribed to: as for a consumer group.
    pub(crate) fn expiry(&self) -> Expiry {
        Expiry::UnreadSince(self.assigned_at_ms)
    }

    /// Takes over what a member has. The member must be there.
    fn put_current(&mut self, member_id: &str, current: Current) {
        let Some((id, member)) = self.members.get_key_value(member_id) else {
            return;
        };
        let id = id.clone();
        for task in member.current.tasks() {
            let place = (task.subtopology.clone(), task.partition);
            if let Some(holders) = self.holders.get_mut(&place) {
                holders.remove(&(id.clone(), task.role));
                if holders.is_empty() {
                    self.holders.remove(&place);
                }
            }
        }
        for task in current.tasks() {
            let place = (task.subtopology.clone(), task.partition);
            let holders = self.holders.entry(place).or_default();
            holders.insert((id.clone(), task.role));
        }
        if let Some(member) = self.members.get_mut(member_id) {
            member.current = current;
        }
    }

    /// Takes a member out, with what it has.
    fn take_member(&mut self, member_id: &str) -> Option<Member> {
        self.put_current(member_id, Current::default());
        self.targets.remove(member_id);
        let member = self.members.remove(member_id);
        if self.members.is_empty() {
            self.shutdown_by = None;
        }
        member
    }

    /// Begins a new epoch.
    fn bump(&mut self, out: &mut Output) {
        self.epoch = self.epoch.saturating_add(1);
        self.write_group(out);
    }
}
