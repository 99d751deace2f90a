//! What must never happen, watched from outside.
//!
//! The checker sees what is sent, what is appended, what is durable and what is answered; it never looks into the
//! shard. Every commit carries its own number in its metadata, so that a record, an answer and a fetched offset can be
//! told apart from all others.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_coordinator::{Records, Reply};
use catchword_wire::records::{
    GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
};
use catchword_wire::{Decoder, Message, Str};

use super::outside::Outside;

/// A rule that was broken.
#[derive(Debug)]
pub(crate) struct Violation(pub(crate) String);

pub(crate) type Checked = Result<(), Violation>;

fn broken<T>(rule: String) -> Result<T, Violation> {
    Err(Violation(rule))
}

/// A group and a partition of the only topic.
pub(crate) type Place = (Str, i32);

/// Someone wants a bookmark to be at an offset.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    place: Place,
    offset: i64,
    /// -1 for an administrator.
    generation: i32,
}

/// What a call asked for, as far as its answer will be checked.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Commit(Vec<u64>),
    /// How many moves were durable when it was asked.
    Fetch {
        group: Str,
        durable_then: usize,
    },
    Sync {
        group: Str,
        generation: i32,
        member_id: Str,
    },
    Other,
}

/// A move in the log: where, and the attempt's number; `None` for a tombstone.
type Move = (Place, Option<u64>);

#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// What clients saw, which is judged at the end.
    pub(crate) outside: Outside,
    /// Nothing else is watched.
    pub(crate) only_outside: bool,
    attempts: Vec<Attempt>,
    /// In log order. The first `durable_moves` are durable, the others may yet be lost.
    moves: Vec<Move>,
    durable_moves: usize,
    /// Generations of a group's records in log order, with each member's assignment.
    generations: BTreeMap<Str, Vec<Generation>>,
    durable_generations: BTreeMap<Str, usize>,
    /// (group, generation, partition) to the member that was told it owns it.
    owners: BTreeMap<(Str, i32, i32), Str>,
    pub(crate) acknowledged: usize,
}

#[derive(Debug, Clone)]
struct Generation {
    number: i32,
    assignments: BTreeMap<Str, Bytes>,
}

impl Checker {
    /// Numbers an attempt.
    pub(crate) fn attempt(&mut self, place: Place, offset: i64, generation: i32) -> u64 {
        self.attempts.push(Attempt {
            place,
            offset,
            generation,
        });
        self.attempts.len() as u64 - 1
    }

    pub(crate) fn durable_moves(&self) -> usize {
        self.durable_moves
    }

    /// The shard gave records to be appended.
    pub(crate) fn appended(&mut self, records: &Records) -> Checked {
        if self.only_outside {
            return Ok(());
        }
        for record in records.iter() {
            let mut key = Decoder::new(Bytes::copy_from_slice(record.key));
            match key.i16().unwrap() {
                1 => {
                    let key = OffsetCommitKey::decode(&mut key, 0).unwrap();
                    self.moved((key.group.detached(), key.partition), record.value)?;
                }
                2 => {
                    let group = GroupMetadataKey::decode(&mut key, 0)
                        .unwrap()
                        .group
                        .detached();
                    let generation = generation(record.value);
                    self.generations.entry(group).or_default().push(generation);
                }
                other => return broken(format!("a record of type {other}")),
            }
        }
        Ok(())
    }

    fn moved(&mut self, place: Place, value: Option<&[u8]>) -> Checked {
        let Some(value) = value else {
            self.moves.push((place, None));
            return Ok(());
        };
        let mut fields = Decoder::new(Bytes::copy_from_slice(value));
        let version = fields.i16().unwrap();
        let value = OffsetCommitValue::decode(&mut fields, version).unwrap();
        let number: u64 = value.metadata.parse().unwrap();
        let attempt = &self.attempts[number as usize];
        if attempt.place != place || attempt.offset != value.offset {
            return broken(format!(
                "nobody asked for {place:?} to be at {}",
                value.offset
            ));
        }
        // Fencing: between a generation's record and the next one, only its members move bookmarks.
        let present = self
            .generations
            .get(&place.0)
            .and_then(|all| all.last())
            .map_or(0, |g| g.number);
        if attempt.generation >= 0 && attempt.generation != present {
            let own = attempt.generation;
            return broken(format!(
                "generation {own} moved {place:?} in generation {present}"
            ));
        }
        self.moves.push((place, Some(number)));
        Ok(())
    }

    /// The next records after the last durable one are durable now.
    pub(crate) fn durable(&mut self, records: &Records) {
        if self.only_outside {
            return;
        }
        for record in records.iter() {
            let mut key = Decoder::new(Bytes::copy_from_slice(record.key));
            if key.i16().unwrap() == 1 {
                self.durable_moves += 1;
            } else {
                let group = GroupMetadataKey::decode(&mut key, 0)
                    .unwrap()
                    .group
                    .detached();
                if record.value.is_none() {
                    // Nothing was left of the group; its generations begin anew.
                    self.owners.retain(|(of, _, _), _| *of != group);
                }
                *self.durable_generations.entry(group).or_default() += 1;
            }
        }
    }

    /// What is not durable is lost.
    pub(crate) fn crashed(&mut self) {
        self.outside.crashed();
        self.moves.truncate(self.durable_moves);
        for (group, generations) in &mut self.generations {
            generations.truncate(self.durable_generations.get(group).copied().unwrap_or(0));
        }
    }

    /// An answer is sent.
    pub(crate) fn answered(&mut self, asked: &Asked, reply: &Reply) -> Checked {
        if self.only_outside {
            return Ok(());
        }
        match (asked, reply) {
            (Asked::Commit(numbers), Reply::OffsetCommit(response)) => {
                let errors = response
                    .topics
                    .iter()
                    .flat_map(|t| &t.partitions)
                    .map(|p| p.error_code);
                for (number, error) in numbers.iter().zip(errors) {
                    if error == 0 {
                        self.commit_acknowledged(*number)?;
                    }
                }
                Ok(())
            }
            (
                Asked::Fetch {
                    group,
                    durable_then,
                },
                Reply::OffsetFetch(response),
            ) => {
                for partition in response.topics.iter().flat_map(|t| &t.partitions) {
                    let place = (group.clone(), partition.partition_index);
                    let metadata = partition.metadata.clone().unwrap_or_default();
                    let number = metadata.parse::<u64>().ok();
                    self.fetched(place, number, partition.committed_offset, *durable_then)?;
                }
                Ok(())
            }
            (
                Asked::Sync {
                    group,
                    generation,
                    member_id,
                },
                Reply::SyncGroup(response),
            ) if response.error_code == 0 => {
                self.assigned(group, *generation, member_id, &response.assignment)
            }
            _ => Ok(()),
        }
    }

    fn commit_acknowledged(&mut self, number: u64) -> Checked {
        self.acknowledged += 1;
        let durable = &self.moves[..self.durable_moves];
        match durable
            .iter()
            .rev()
            .any(|(_, moved)| *moved == Some(number))
        {
            true => Ok(()),
            false => broken(format!(
                "commit {number} ({:?}) was acknowledged and is not durable",
                self.attempts[number as usize]
            )),
        }
    }

    /// A fetch gives the last move before some moment between question and answer, and nothing that may yet be lost.
    fn fetched(
        &self,
        place: Place,
        number: Option<u64>,
        offset: i64,
        durable_then: usize,
    ) -> Checked {
        let last_at = |end: usize| {
            self.moves[..end]
                .iter()
                .rev()
                .find(|(p, _)| *p == place)
                .and_then(|(_, moved)| *moved)
        };
        let mut candidates = vec![last_at(durable_then)];
        let since = &self.moves[durable_then..self.durable_moves];
        candidates.extend(
            since
                .iter()
                .filter(|(p, _)| *p == place)
                .map(|(_, moved)| *moved),
        );
        if !candidates.contains(&number) {
            return broken(format!(
                "{place:?} was read as {number:?}, though it was one of {candidates:?} in that time"
            ));
        }
        let expected = number.map_or(-1, |number| self.attempts[number as usize].offset);
        match offset == expected {
            true => Ok(()),
            false => broken(format!(
                "{place:?} was read as {offset} in place of {expected}"
            )),
        }
    }

    fn assigned(
        &mut self,
        group: &Str,
        number: i32,
        member_id: &Str,
        assignment: &Bytes,
    ) -> Checked {
        let durable = self.durable_generations.get(group).copied().unwrap_or(0);
        let known = &self.generations.get(group).map_or(&[][..], Vec::as_slice)[..durable];
        let on_record =
            |g: &Generation| g.number == number && g.assignments.get(member_id) == Some(assignment);
        if !known.iter().any(on_record) {
            return broken(format!(
                "{member_id} was given an assignment of generation {number} of {group} that is not durable"
            ));
        }
        for partition in partitions_of(assignment) {
            let key = (group.clone(), number, partition);
            let owner = self.owners.entry(key).or_insert_with(|| member_id.clone());
            // A static member that came back has its former self's assignment under a new id.
            if name_of(owner) != name_of(member_id) {
                return broken(format!(
                    "{owner} and {member_id} both own partition {partition} of {group} in generation {number}"
                ));
            }
        }
        Ok(())
    }
}

/// A member id without its UUID, which for static members is their name; dynamic members have one each here.
fn name_of(member_id: &str) -> &str {
    &member_id[..member_id.len() - 37]
}

fn generation(value: Option<&[u8]>) -> Generation {
    let Some(value) = value else {
        return Generation {
            number: 0,
            assignments: BTreeMap::new(),
        };
    };
    let mut fields = Decoder::new(Bytes::copy_from_slice(value));
    let version = fields.i16().unwrap();
    let value = GroupMetadataValue::decode(&mut fields, version).unwrap();
    let assignments = value
        .members
        .into_iter()
        .map(|m| (m.member_id.detached(), m.assignment));
    Generation {
        number: value.generation,
        assignments: assignments.collect(),
    }
}

/// Partitions as the simulated leaders write them.
pub(crate) fn partitions_of(assignment: &[u8]) -> Vec<i32> {
    assignment
        .chunks_exact(4)
        .map(|c| i32::from_be_bytes(c.try_into().unwrap()))
        .collect()
}
