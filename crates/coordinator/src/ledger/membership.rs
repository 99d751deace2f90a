//! Who is in a group, by the records of an Apache Kafka, and what that tells of a bookmark's move: Kafka's records of
//! bookmarks do not say who moved them, but somebody did who was no member if the group had none.

use std::collections::{BTreeMap, BTreeSet};

use catchword_wire::Str;
use catchword_wire::batch::Record;
use catchword_wire::records::GroupMetadataValue;

use super::Moved;
use crate::record::consumer::{Change, ConsumerRecord};
use crate::record::headers::Cause;
use crate::record::{self, decode};

/// The members of the groups in one partition of `__consumer_offsets`, as its records told them so far.
#[derive(Debug, Default)]
pub struct Membership {
    groups: BTreeMap<Str, Members>,
}

/// A group that has, or had, members.
#[derive(Debug, Default)]
struct Members {
    classic: usize,
    consumers: BTreeSet<Str>,
}

impl Members {
    fn is_empty(&self) -> bool {
        self.classic == 0 && self.consumers.is_empty()
    }
}

impl Membership {
    /// Takes the next record of the log. Whether it is one of those that tell of members.
    pub fn note(&mut self, record: &Record) -> bool {
        let Some(key) = record.key.as_deref() else {
            return false;
        };
        match decode(key, record.value.as_deref()) {
            Ok(record::Record::Group { group_id, value }) => match value {
                Some(value) => {
                    self.groups.entry(group_id).or_default().classic = value.members.len();
                }
                None => {
                    // It was deleted, or became one of the newer kind: then its members are told anew.
                    if let Some(group) = self.groups.get_mut(&group_id) {
                        group.classic = 0;
                    }
                }
            },
            Ok(record::Record::Consumer(ConsumerRecord {
                group_id,
                change: Change::Member(member_id, value),
            })) => {
                let group = self.groups.entry(group_id).or_default();
                match value {
                    Some(_) => drop(group.consumers.insert(member_id)),
                    None => drop(group.consumers.remove(&member_id)),
                }
            }
            Ok(record::Record::Consumer(ConsumerRecord {
                group_id,
                change: Change::Group(None),
            })) => drop(self.groups.remove(&group_id)),
            _ => return false,
        }
        true
    }

    /// Why a bookmark moved that was at `before`, as far as that can be known; `None`: a member read on, for all that is
    /// known.
    pub fn cause(&self, moved: &Moved, before: Option<i64>) -> Option<Cause> {
        let (to, _) = moved.to?;
        let goes_back = before.is_some_and(|before| to < before);
        let by_nobody = match self.groups.get(&moved.group) {
            Some(members) => members.is_empty() && before.is_some_and(|before| before != to),
            // Consumers that assign themselves their partitions read on like this, and do not go back.
            None => goes_back,
        };
        by_nobody.then_some(Cause::Standalone)
    }
}

/// Since when the group that a record is about has had no members, ms since 1970: from then on Kafka counts until the offsets
/// of a classic group with a protocol expire (KIP-211). `None` if the record is about no such group. There is no time where it
/// has members, is gone, or its record does not tell, as that of a Kafka before 2.1: then the time of each commit counts.
pub fn emptied(record: &Record) -> Option<(Str, Option<i64>)> {
    let key = record.key.as_deref()?;
    let Ok(record::Record::Group { group_id, value }) = decode(key, record.value.as_deref()) else {
        return None;
    };
    let is_empty =
        |value: &GroupMetadataValue| value.members.is_empty() && !value.protocol_type.is_empty();
    let since_ms = value
        .filter(is_empty)
        .map(|value| value.current_state_timestamp);
    Some((group_id, since_ms.filter(|since_ms| *since_ms >= 0)))
}

#[cfg(test)]
mod tests {
    use catchword_wire::records::group_metadata_value::MemberMetadata;

    use super::*;
    use crate::record::{encode, group_metadata_key};

    fn group(members: Option<usize>) -> Record {
        let value = members.map(|n| GroupMetadataValue {
            members: vec![MemberMetadata::default(); n],
            ..GroupMetadataValue::default()
        });
        Record {
            offset: 0,
            timestamp: 0,
            key: Some(group_metadata_key(&"g".into())),
            value: value.map(|value| encode(3, 3, &value)),
            headers: Vec::new(),
        }
    }

    fn moved(group: &str, to: Option<i64>) -> Moved {
        Moved {
            group: Str::copy(group),
            topic: "orders".into(),
            partition: 0,
            to: to.map(|offset| (offset, 0)),
        }
    }

    #[test]
    fn whoever_moves_a_bookmark_of_a_group_without_members_is_none_of_them() {
        let mut membership = Membership::default();
        assert!(membership.note(&group(Some(2))));
        assert_eq!(
            membership.cause(&moved("g", Some(9)), Some(5)),
            None,
            "reads on"
        );
        assert_eq!(
            membership.cause(&moved("g", Some(1)), Some(5)),
            None,
            "a member's own step"
        );
        membership.note(&group(Some(0)));
        let by_nobody = Some(Cause::Standalone);
        assert_eq!(
            membership.cause(&moved("g", Some(9)), Some(5)),
            by_nobody,
            "to the end"
        );
        assert_eq!(
            membership.cause(&moved("g", Some(0)), Some(5)),
            by_nobody,
            "to the start"
        );
        assert_eq!(
            membership.cause(&moved("g", None), Some(5)),
            None,
            "tombstones say it themselves"
        );
    }

    #[test]
    fn consumers_that_never_were_in_a_group_read_on() {
        let membership = Membership::default();
        assert_eq!(membership.cause(&moved("assigned", Some(9)), Some(5)), None);
        let back = membership.cause(&moved("assigned", Some(1)), Some(5));
        assert_eq!(back, Some(Cause::Standalone));
    }

    #[test]
    fn a_group_that_members_left_is_empty_since_its_record_says_so() {
        let record = |members: usize, protocol_type: &'static str, at_ms| {
            let value = GroupMetadataValue {
                protocol_type: protocol_type.into(),
                current_state_timestamp: at_ms,
                members: vec![MemberMetadata::default(); members],
                ..GroupMetadataValue::default()
            };
            Record {
                value: Some(encode(3, 3, &value)),
                ..group(None)
            }
        };
        let since = |record: &Record| emptied(record).unwrap().1;
        assert_eq!(since(&record(0, "consumer", 77)), Some(77));
        assert_eq!(since(&record(1, "consumer", 77)), None, "it has a member");
        assert_eq!(since(&record(0, "", 77)), None, "it never had any");
        assert_eq!(
            since(&record(0, "consumer", -1)),
            None,
            "nobody has noted it"
        );
        assert_eq!(since(&group(None)), None, "it is gone");
        let other = Record {
            key: Some(b"x".as_slice().into()),
            ..group(None)
        };
        assert!(emptied(&other).is_none());
    }
}
