//! Who is it: a known member, a new one, or a static one that comes back under another id.

use catchword_wire::messages::consumer_group_heartbeat_request::TopicPartitions;
use catchword_wire::{ErrorCode, Str};

use super::load::target_value;
use super::member::{AWAY, Current, Member};
use super::{ConsumerGroup, Refused};
use crate::effect::Output;
use crate::group::Scope;

/// Who asks to be a member.
pub(super) struct Newcomer<'a> {
    pub(super) id: &'a Str,
    pub(super) instance_id: Option<&'a Str>,
    /// Whether it may be somebody new.
    pub(super) may_create: bool,
    pub(super) is_classic: bool,
    /// What it says of the epoch that it is in, and of the partitions that it has; consumer protocol only.
    pub(super) epoch: i32,
    pub(super) owned: Option<&'a [TopicPartitions]>,
}

impl ConsumerGroup {
    /// `group.consumer.max.size`.
    pub(super) fn check_room(&self, member_id: &str, scope: &Scope<'_>) -> Result<(), Refused> {
        let is_full = self.members.len() >= scope.config.consumer.max_size;
        match is_full && !self.members.contains_key(member_id) {
            true => Err((
                ErrorCode::GroupMaxSizeReached,
                "the group has as many members as group.consumer.max.size allows",
            )),
            false => Ok(()),
        }
    }

    /// Finds or makes the member. Nothing has changed if it is refused. Returns whether it is new to the group.
    pub(super) fn subscribe(
        &mut self,
        who: &Newcomer<'_>,
        out: &mut Output,
    ) -> Result<bool, Refused> {
        let Some(instance_id) = who.instance_id else {
            return match self.members.get(who.id) {
                Some(member) => self.check_epoch(member, who).map(|()| false),
                None if who.may_create => {
                    self.members.insert(Str::copy(who.id), Member::new(who.id));
                    Ok(true)
                }
                None => Err((ErrorCode::UnknownMemberId, "the group has no such member")),
            };
        };
        if !who.may_create {
            let id = self.validate(who.id, Some(instance_id))?;
            self.check_epoch(&self.members[&id], who)?;
            return Ok(false);
        }
        let Some(holder) = self.static_members.get(instance_id).cloned() else {
            let is_new = !self.members.contains_key(who.id);
            if is_new {
                self.members.insert(Str::copy(who.id), Member::new(who.id));
            }
            return Ok(is_new);
        };
        let before = &self.members[&holder];
        if !who.is_classic && !before.is_classic() && before.current.epoch != AWAY {
            return Err((
                ErrorCode::UnreleasedInstanceId,
                "the group instance id is in use by a member that has not left",
            ));
        }
        self.replace(&holder, who.id, out);
        Ok(false)
    }

    /// The epoch must be the member's. The one before will do if the member has nothing that it should not have: then
    /// it only missed an answer.
    fn check_epoch(&self, member: &Member, who: &Newcomer<'_>) -> Result<(), Refused> {
        let (current, epoch) = (&member.current, who.epoch);
        if who.is_classic || epoch == 0 || epoch == current.epoch {
            return Ok(());
        }
        let missed_answer = epoch < current.epoch
            && epoch == current.previous_epoch
            && who.owned.is_some_and(|owned| is_subset(owned, current));
        match missed_answer {
            true => Ok(()),
            false => Err((
                ErrorCode::FencedMemberEpoch,
                "the member's epoch is not the one that the coordinator knows; it must give up its partitions and rejoin",
            )),
        }
    }

    /// Gives a static member's place to its new id.
    fn replace(&mut self, old: &Str, new: &Str, out: &mut Output) {
        let (Some(before), target) = (self.members.get(old), self.targets.get(old)) else {
            return;
        };
        let (said, target) = (before.said.clone(), target.cloned().unwrap_or_default());
        let current = Current {
            epoch: 0,
            previous_epoch: 0,
            ..before.current.clone()
        };
        self.remove_member(old, out);
        self.members.insert(Str::copy(new), Member::new(new));
        self.set_said(new, said, out);
        self.writer(out).target(new, Some(&target_value(&target)));
        self.targets.insert(Str::copy(new), target);
        self.set_current(new, current, out);
    }
}

fn is_subset(owned: &[TopicPartitions], current: &Current) -> bool {
    owned.iter().all(|topic| {
        let of = current.assigned.get(&topic.topic_id);
        let has = |p: &i32| of.is_some_and(|of| of.contains_key(p));
        topic.partitions.iter().all(has)
    })
}
