//! What tests of a group begin with, and what they ask of groups of every kind.

use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use catchword_wire::messages::{DeleteGroupsRequest, OffsetFetchRequest};
use catchword_wire::{ErrorCode, Str};

use super::code;
use super::wire::{GROUP, Wire};
use crate::harness::{Cluster, wait_until};

/// A topic that is there, the id of a group that is not, and a client at the coordinator of that.
pub(super) struct Ground {
    pub(super) wire: Wire,
    pub(super) topic: Str,
    pub(super) group: Str,
}

impl Ground {
    pub(super) fn new(cluster: &Cluster, partitions: i32) -> Ground {
        let topic = cluster.name("t");
        let partitions = partitions.to_string();
        let create = ["topics", "create", &topic, "--partitions", &partitions];
        cluster.run(&create).ok();
        let group = Str::from(cluster.name("g"));
        let mut wire = Wire::to(cluster, GROUP, &group);
        let places = OffsetFetchRequest {
            groups: vec![OffsetFetchRequestGroup {
                group_id: group.clone(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            }],
            ..OffsetFetchRequest::default()
        };
        wire.patiently(|wire| wire.call(&places, 8).groups[0].error_code);
        Ground {
            wire,
            topic: Str::from(topic),
            group,
        }
    }

    /// Another client, of this group.
    pub(super) fn of_group(&self, cluster: &Cluster, group: &Str) -> Ground {
        Ground {
            wire: Wire::to(cluster, GROUP, group),
            topic: self.topic.clone(),
            group: group.clone(),
        }
    }

    pub(super) fn delete(&mut self) -> ErrorCode {
        let request = DeleteGroupsRequest {
            groups_names: vec![self.group.clone()],
        };
        code(self.wire.call(&request, 2).results[0].error_code)
    }
}

/// Heartbeats at the epoch that the last one answered, until one has led the member past this epoch: the epoch it then has.
pub(super) fn led_past(epoch: i32, mut beat: impl FnMut(i32) -> (ErrorCode, i32)) -> i32 {
    let mut now = epoch;
    wait_until("the member is led on", || {
        let (error, led) = beat(now);
        assert_eq!(error, ErrorCode::None);
        now = led;
        now > epoch
    });
    now
}
