//! What clients saw of the bookmarks, for the checker of linearizable histories: calls and answers at the broker's door.

use std::collections::BTreeMap;

use catchword_coordinator::{Call, Reply, ReplyTo};
use catchword_linear::{History, Ticket};
use catchword_wire::{ErrorCode, Str};

use super::checker::{Checked, Place, Violation};

/// What a bookmark holds: its offset and metadata.
type Bookmark = Option<(i64, Str)>;

#[derive(Debug, Default)]
pub(crate) struct Outside {
    history: History<Place, Bookmark>,
    open: BTreeMap<ReplyTo, BTreeMap<Place, Ticket>>,
}

impl Outside {
    /// A call has arrived. `everywhere` is the number of partitions that a deleted group may have bookmarks in.
    pub(crate) fn called(&mut self, to: ReplyTo, call: &Call, everywhere: i32) {
        let history = &mut self.history;
        let mut begun = BTreeMap::new();
        match call {
            Call::OffsetCommit(call) => {
                for partition in call.topics.iter().flat_map(|topic| &topic.partitions) {
                    let place = (call.group_id.clone(), partition.partition_index);
                    let metadata = partition.committed_metadata.clone().unwrap_or_default();
                    let bookmark = Some((partition.committed_offset, metadata));
                    begun.insert(place.clone(), history.write(place, bookmark));
                }
            }
            Call::OffsetFetch(call) => {
                let topics = call.group.topics.iter().flatten();
                for partition in topics.flat_map(|topic| &topic.partition_indexes) {
                    let place = (call.group.group_id.clone(), *partition);
                    begun.insert(place.clone(), history.read(place));
                }
            }
            Call::OffsetDelete(call) => {
                for partition in call.topics.iter().flat_map(|topic| &topic.partitions) {
                    let place = (call.group_id.clone(), partition.partition_index);
                    begun.insert(place.clone(), history.write(place, None));
                }
            }
            Call::DeleteGroup(group) => {
                for partition in 0..everywhere {
                    let place = (group.clone(), partition);
                    begun.insert(place.clone(), history.write(place, None));
                }
            }
            _ => return,
        }
        self.open.insert(to, begun);
    }

    /// An answer leaves.
    pub(crate) fn answered(&mut self, to: ReplyTo, reply: &Reply) {
        let Some(begun) = self.open.remove(&to) else {
            return;
        };
        for ((group, partition), ticket) in begun {
            match reply {
                Reply::OffsetCommit(response) => {
                    let mut answers = response.topics.iter().flat_map(|topic| &topic.partitions);
                    let answer = answers.find(|answer| answer.partition_index == partition);
                    self.written(ticket, answer.unwrap().error_code);
                }
                Reply::OffsetDelete(response) => {
                    let mut answers = response.topics.iter().flat_map(|topic| &topic.partitions);
                    let answer = answers.find(|answer| answer.partition_index == partition);
                    let of_all = response.error_code;
                    self.written(ticket, answer.map_or(of_all, |answer| answer.error_code));
                }
                Reply::DeleteGroup(response) => self.written(ticket, response.error_code),
                Reply::OffsetFetch(response) => {
                    let mut answers = response.topics.iter().flat_map(|topic| &topic.partitions);
                    match answers.find(|answer| answer.partition_index == partition) {
                        Some(answer) if answer.error_code == 0 && answer.committed_offset >= 0 => {
                            let metadata = answer.metadata.clone().unwrap_or_default().detached();
                            let bookmark = Some((answer.committed_offset, metadata));
                            self.history.found(ticket, bookmark);
                        }
                        Some(answer) if answer.error_code == 0 => self.history.found(ticket, None),
                        _ => self.history.refused(ticket),
                    }
                }
                other => panic!("{group} was answered {other:?}"),
            }
        }
    }

    fn written(&mut self, ticket: Ticket, error: i16) {
        match ErrorCode::from_code(error) {
            ErrorCode::None => self.history.written(ticket),
            // It was under way when the disk failed: whether it will be found is open.
            ErrorCode::NotCoordinator => {}
            _ => self.history.refused(ticket),
        }
    }

    /// The broker is gone, and with it whatever it had not answered.
    pub(crate) fn crashed(&mut self) {
        self.open.clear();
        self.history.crashed();
    }

    /// At the end of it all.
    pub(crate) fn check(&self) -> Checked {
        self.history
            .check()
            .map_err(|broken| Violation(broken.to_string()))
    }

    /// How many operations were answered.
    pub(crate) fn answered_operations(&self) -> usize {
        self.history.answered()
    }
}
