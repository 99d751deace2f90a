//! Who is in a group, and who has what: alike for all kinds of groups, for those who look from inside the broker.

use catchword_wire::{Str, Uuid};

use super::{Awaited, Group, GroupKind};
use crate::metadata::MetadataImage;
use crate::notice::{Leaving, LeftAt, Notice, Noticed};
use crate::offsets::find;

/// A group's members, of whatever protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// Kafka's name for where the group is.
    pub state: Str,
    /// Kafka's name for its kind.
    pub kind: Str,
    /// What its members are to each other; empty where nobody ever joined.
    pub protocol_type: Str,
    /// In the order of their ids.
    pub members: Vec<RosterMember>,
    /// Whom a rebalance waits for.
    pub awaited: Vec<Awaited>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterMember {
    /// Its member id.
    pub id: Str,
    /// The name under which it comes back after a restart (KIP-345).
    pub instance_id: Option<Str>,
    /// Its client id.
    pub client_id: Str,
    /// Where from, such as `/127.0.0.1`.
    pub client_host: Str,
    /// What it may be reading, by topic and partition, as far as that can be read: nothing of members that do not share out
    /// partitions, or not among themselves.
    pub partitions: Vec<(Str, i32)>,
}

impl Group {
    /// Who is in it.
    pub(crate) fn roster(&self, image: &MetadataImage) -> Roster {
        let listed = self.list();
        let (members, awaited) = match &self.kind {
            GroupKind::Simple => (Vec::new(), Vec::new()),
            GroupKind::Classic(classic) => (classic.roster(), classic.awaited()),
            GroupKind::Consumer(consumer) => (consumer.roster(image), consumer.awaited(image)),
            // Its members share what they read: nobody waits for another.
            GroupKind::Share(share) => (share.roster(), Vec::new()),
            GroupKind::Streams(streams) => (streams.roster(), streams.awaited()),
        };
        Roster {
            state: listed.group_state,
            kind: listed.group_type,
            protocol_type: listed.protocol_type,
            members,
            awaited,
        }
    }

    /// Adds to what members that are gone had where the group's bookmarks are.
    pub(crate) fn tell_bookmarks(&self, image: &MetadataImage, notice: &mut Notice) {
        let Noticed::Gone { places, .. } = &mut notice.what else {
            return;
        };
        for place in places {
            place.topic_id = image
                .topic(&place.topic)
                .map_or(Uuid::ZERO, |topic| topic.id);
            let bookmark = find(self.offsets.partitions(&place.topic), place.partition);
            let here = bookmark.filter(|b| b.topic_id.is_zero() || b.topic_id == place.topic_id);
            place.committed = here.map(|bookmark| bookmark.offset);
        }
    }
}

impl Roster {
    /// How many members it names, and partitions that they have.
    pub(crate) fn size(&self) -> usize {
        let sizes = self
            .members
            .iter()
            .map(|member| 1 + member.partitions.len());
        sizes.sum()
    }
}

impl RosterMember {
    /// That this member is gone; `None` if it had nothing that could come again.
    pub(crate) fn gone(self, group_id: &Str, how: Leaving) -> Option<Notice> {
        if self.partitions.is_empty() {
            return None;
        }
        let place = |(topic, partition)| LeftAt {
            topic,
            topic_id: Uuid::ZERO,
            partition,
            committed: None,
            handed: None,
        };
        Some(Notice {
            group_id: group_id.clone(),
            member_id: self.id,
            client_id: self.client_id,
            client_host: self.client_host,
            what: Noticed::Gone {
                how,
                places: self.partitions.into_iter().map(place).collect(),
            },
        })
    }
}
