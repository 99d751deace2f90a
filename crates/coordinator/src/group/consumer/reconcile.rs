//! How a member comes from what it has to what it is to have: first it gives up, then it is given.

use std::collections::BTreeMap;

use catchword_wire::Uuid;
use catchword_wire::messages::consumer_group_heartbeat_request::TopicPartitions;

use super::member::{Assigned, Current, MemberState};
use super::{ConsumerGroup, Env};
use crate::assignor::Partitions;
use crate::group::Scope;
use crate::timer::TimerKind;

/// What decides a member's next step.
pub(super) struct Step<'a, S, T> {
    pub(super) target_epoch: i32,
    pub(super) target: &'a Partitions,
    /// Whether the member is subscribed to a topic that exists.
    pub(super) is_subscribed: S,
    /// Whether another member has the partition.
    pub(super) is_taken: T,
    /// The subscription has just changed: what it does not cover must go at once.
    pub(super) subscription_changed: bool,
    /// The partitions that the member says it has; `None` if it says nothing.
    pub(super) owned: Option<&'a [TopicPartitions]>,
}

impl<S: Fn(&Uuid) -> bool, T: Fn(&Uuid, i32) -> bool> Step<'_, S, T> {
    /// What the member has afterwards; `None` if nothing changes.
    pub(super) fn take(&self, current: &Current) -> Option<Current> {
        let next = match current.state {
            MemberState::Stable if current.epoch != self.target_epoch => self.advance(current),
            MemberState::Stable if self.subscription_changed => self.shrink(current)?,
            MemberState::Stable => return None,
            MemberState::Unrevoked if self.still_has(&current.revoking) => {
                match self.subscription_changed {
                    true => self.shrink(current)?,
                    false => return None,
                }
            }
            _ => self.advance(current),
        };
        (next != *current).then_some(next)
    }

    /// Who does not say what it has may have anything still.
    fn still_has(&self, partitions: &Assigned) -> bool {
        let Some(owned) = self.owned else {
            return true;
        };
        owned.iter().any(|topic| {
            let of = partitions.get(&topic.topic_id);
            of.is_some_and(|of| topic.partitions.iter().any(|p| of.contains_key(p)))
        })
    }

    /// Takes away what the subscription does not cover, without a look at the target.
    fn shrink(&self, current: &Current) -> Option<Current> {
        let mut next = current.clone();
        let all = std::mem::take(&mut next.assigned).into_iter();
        let (stays, gone): (Assigned, Assigned) =
            all.partition(|(topic, _)| (self.is_subscribed)(topic));
        next.assigned = stays;
        if gone.is_empty() {
            return None;
        }
        let mut revoking = next.revoking.clone();
        for (topic, partitions) in gone {
            revoking.entry(topic).or_default().extend(partitions);
        }
        next.previous_epoch = current.epoch;
        if self.still_has(&revoking) {
            next.state = MemberState::Unrevoked;
            next.revoking = revoking;
        }
        Some(next)
    }

    /// A step towards the target.
    fn advance(&self, current: &Current) -> Current {
        let mut assigned = Assigned::new();
        let mut revoking = Assigned::new();
        let is_target = |topic: &Uuid, partition: &i32| {
            let of = self.target.get(topic);
            of.is_some_and(|of| of.contains(partition)) && (self.is_subscribed)(topic)
        };
        for (topic, partitions) in &current.assigned {
            for (partition, epoch) in partitions {
                let stays = is_target(topic, partition);
                let to = if stays { &mut assigned } else { &mut revoking };
                to.entry(*topic).or_default().insert(*partition, *epoch);
            }
        }
        if !revoking.is_empty() && self.still_has(&revoking) {
            return Current {
                epoch: current.epoch,
                previous_epoch: current.epoch,
                state: MemberState::Unrevoked,
                assigned,
                revoking,
            };
        }
        let mut waits = false;
        for (topic, partitions) in self.target.iter().filter(|(t, _)| (self.is_subscribed)(t)) {
            for partition in partitions {
                let has = assigned
                    .get(topic)
                    .is_some_and(|of| of.contains_key(partition));
                if !has && (self.is_taken)(topic, *partition) {
                    waits = true;
                } else if !has {
                    let of = assigned.entry(*topic).or_default();
                    of.insert(*partition, self.target_epoch);
                }
            }
        }
        Current {
            epoch: self.target_epoch,
            previous_epoch: current.epoch,
            state: match waits {
                true => MemberState::Unreleased,
                false => MemberState::Stable,
            },
            assigned,
            revoking: BTreeMap::new(),
        }
    }
}

impl ConsumerGroup {
    /// Leads a member a step towards its target. Whether its assigned partitions changed.
    pub(super) fn reconcile(
        &mut self,
        member_id: &str,
        subscription_changed: bool,
        owned: Option<&[TopicPartitions]>,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> bool {
        let Some(member) = self.members.get(member_id) else {
            return false;
        };
        if !subscription_changed && member.is_reconciled_to(self.assignment_epoch) {
            return false;
        }
        let (none, said) = (Partitions::new(), &member.said);
        let by_regex = self.regexes.get(&said.regex);
        let step = Step {
            target_epoch: self.assignment_epoch,
            target: self.targets.get(member_id).unwrap_or(&none),
            is_subscribed: |topic: &Uuid| {
                env.image.topic_by_id(topic).is_some_and(|topic| {
                    said.topics.contains(&topic.name)
                        || by_regex.is_some_and(|r| r.topics.contains(&topic.name))
                })
            },
            is_taken: |topic: &Uuid, partition| {
                let owner = self.owners.get(&(*topic, partition));
                owner.is_some_and(|owner| *owner != member.id)
            },
            subscription_changed,
            owned,
        };
        let Some(next) = step.take(&member.current) else {
            return false;
        };
        let id = member.id.clone();
        let changed = next.assigned != member.current.assigned;
        self.set_current(&id, next, scope.out);
        self.watch_revocation(&id, scope);
        changed
    }

    /// A member that has to give something up is given its rebalance timeout for it. Classic members have other timers.
    pub(super) fn watch_revocation(&mut self, member_id: &str, scope: &mut Scope<'_>) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        let key = || crate::timer::TimerKey {
            group_id: self.id.clone(),
            kind: TimerKind::Revocation(member.id.clone()),
        };
        if !member.is_classic() && member.current.state == MemberState::Unrevoked {
            let at_ms = scope.after(member.rebalance_timeout_ms());
            member.revocation.set(at_ms, key, scope.out);
        } else {
            member.revocation.cancel(key, scope.out);
        }
    }
}
