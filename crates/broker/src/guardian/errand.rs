//! Moving bookmarks in the guarded Kafka, by the requests that its own tools make.
//!
//! Kafka moves each bookmark by itself and from wherever it is. So it is looked at first, and refused if somebody else has
//! moved it; between the look and the move nothing keeps others out, but the group has no members then.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use catchword_client::{Client, ClientError, CommitAs, NewCommit, TopicPartition};
use catchword_coordinator::ledger::Moved as Record;
use catchword_coordinator::record::headers::{OF, by, with};
use catchword_coordinator::{BookmarkMove, Headers, MoveOffsets, Moved};
use catchword_wire::{ErrorCode, Str};

use super::Guardian;
use super::refusal::unanswered;
use super::rights::{self, Changed, Right};
use crate::plane::{Asker, PlaneError};

/// How long a move is waited for to come back by the log.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bookmark and where it goes; `None`: it is removed.
type Target = (Str, Str, i32, Option<i64>);

/// What was asked of the guarded Kafka and has not come back by its log: who asked, and why.
#[derive(Debug, Default)]
pub(super) struct Errands {
    under_way: Mutex<HashMap<Target, Headers>>,
}

impl Errands {
    fn begin(&self, targets: &[Target], headers: &Headers) {
        let mut under_way = self.lock();
        for target in targets {
            under_way.insert(target.clone(), headers.clone());
        }
    }

    /// The headers of a move that was asked for here; it has come back now.
    pub(super) fn came_back(&self, moved: &Record) -> Option<Headers> {
        let mut under_way = self.lock();
        if under_way.is_empty() {
            return None;
        }
        let to = moved.to.map(|(offset, _)| offset);
        under_way.remove(&(
            moved.group.clone(),
            moved.topic.clone(),
            moved.partition,
            to,
        ))
    }

    fn are_back(&self, targets: &[Target]) -> bool {
        let under_way = self.lock();
        !targets.iter().any(|target| under_way.contains_key(target))
    }

    fn forget(&self, targets: &[Target]) {
        let mut under_way = self.lock();
        for target in targets {
            under_way.remove(target);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Target, Headers>> {
        let under_way = self.under_way.lock();
        under_way.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guardian {
    /// Moves bookmarks there, and waits until the guardian has read that they moved. Blocks.
    pub(crate) fn move_offsets(
        &self,
        asker: &Asker,
        call: &MoveOffsets,
    ) -> Result<Moved, PlaneError> {
        let mut client = Client::connect(self.kafka.clone()).map_err(|e| unanswered(&e))?;
        let group = &*call.group_id;
        let described = client.describe_group(group);
        let described = described.map_err(|e| self.unseen(group, &e))?;
        if described.is_some_and(|group| group.is_live()) {
            return Ok(Moved::Refused(ErrorCode::NonEmptyGroup));
        }
        let takes = rights::taken_by(call);
        let refused = |error: ClientError| self.refused(&error, &takes, Changed::Nothing);
        let missing = rights::missing(&mut client, call).map_err(refused)?;
        if !missing.is_empty() {
            return Err(self.not_authorized(&missing, Changed::Nothing));
        }
        let elsewhere = elsewhere(&mut client, call).map_err(refused)?;
        if !elsewhere.is_empty() {
            return Ok(Moved::Elsewhere(elsewhere));
        }
        let headers = by(call.cause, &asker.as_client(), &Str::EMPTY);
        let headers = match &call.of {
            Some(of) => with(&headers, OF, of.clone()),
            None => headers,
        };
        let targets: Vec<Target> = call
            .moves
            .iter()
            .map(|m| {
                let to = m.then.as_ref().map(|place| place.offset);
                (call.group_id.clone(), m.topic.clone(), m.partition, to)
            })
            .collect();
        self.errands.begin(&targets, &headers);
        let moved = carry_out(&mut client, call);
        if let Err(stopped) = moved {
            self.errands.forget(&targets);
            return match has_members(&stopped.error) {
                true => Ok(Moved::Refused(ErrorCode::NonEmptyGroup)),
                false => Err(self.refused(&stopped.error, &stopped.takes, stopped.changed)),
            };
        }
        let until = Instant::now() + PATIENCE;
        while !self.errands.are_back(&targets) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.errands.forget(&targets);
        Ok(Moved::Done)
    }
}

/// The bookmarks that are not where the plan saw them.
fn elsewhere(client: &mut Client, call: &MoveOffsets) -> Result<Vec<(Str, i32)>, ClientError> {
    let partitions: Vec<TopicPartition> = call.moves.iter().map(partition).collect();
    let committed = client.committed(&call.group_id, Some(&partitions))?;
    let is_elsewhere = |m: &&BookmarkMove| {
        let now = committed.get(&partition(m)).map(|place| place.offset);
        now != m.expected
    };
    let moves = call.moves.iter().filter(is_elsewhere);
    Ok(moves.map(|m| (m.topic.clone(), m.partition)).collect())
}

fn partition(m: &BookmarkMove) -> TopicPartition {
    TopicPartition::new(m.topic.as_str(), m.partition)
}

/// Where a move came to its end before all was done.
struct Stopped {
    error: ClientError,
    /// The rights that the refused request takes.
    takes: BTreeSet<Right>,
    changed: Changed,
}

fn carry_out(client: &mut Client, call: &MoveOffsets) -> Result<(), Stopped> {
    let commits: Vec<NewCommit> = call
        .moves
        .iter()
        .filter_map(|m| {
            let place = m.then.as_ref()?;
            Some(NewCommit {
                partition: partition(m),
                offset: place.offset,
                leader_epoch: place.leader_epoch,
                metadata: place.metadata.to_string(),
            })
        })
        .collect();
    if !commits.is_empty() {
        let committed = client.commit(&call.group_id, CommitAs::Outsider, &commits);
        committed.map_err(|error| {
            // The group is refused as a whole, a topic for itself.
            let changed = match error.code() {
                Some(ErrorCode::GroupAuthorizationFailed) => Changed::Nothing,
                _ if has_members(&error) || commits.len() == 1 => Changed::Nothing,
                _ => Changed::Perhaps,
            };
            Stopped {
                error,
                takes: rights::to_commit(call),
                changed,
            }
        })?;
    }
    let removed = call.moves.iter().filter(|m| m.then.is_none());
    let removed: Vec<TopicPartition> = removed.map(partition).collect();
    if !removed.is_empty() {
        let removed = client.delete_offsets(&call.group_id, &removed);
        let changed = match commits.is_empty() {
            true => Changed::Nothing,
            false => Changed::Perhaps,
        };
        removed.map_err(|error| Stopped {
            error,
            takes: rights::to_remove(call),
            changed,
        })?;
    }
    Ok(())
}

/// Whether an error is how Kafka tells somebody who is no member that the group has some.
fn has_members(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(
            ErrorCode::UnknownMemberId
                | ErrorCode::IllegalGeneration
                | ErrorCode::StaleMemberEpoch
                | ErrorCode::NonEmptyGroup
                | ErrorCode::GroupSubscribedToTopic
        )
    )
}
