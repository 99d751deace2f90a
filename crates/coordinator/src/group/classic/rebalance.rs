//! How a generation begins: members are called together, a protocol is chosen, the leader is told who is there.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_wire::messages::JoinGroupResponse;
use catchword_wire::messages::join_group_response::JoinGroupResponseMember;
use catchword_wire::{ErrorCode, Str};

use super::membership::refused_sync;
use super::{ClassicGroup, InitialDelay};
use crate::group::Scope;
use crate::group::member::Member;
use crate::group::state::ClassicState;
use crate::notice::Leaving;
use crate::reply::Reply;
use crate::timer::TimerKind;

impl ClassicGroup {
    /// Something changed: begins a rebalance, or ends it if everyone has come.
    pub(super) fn rebalance_or_complete(&mut self, scope: &mut Scope<'_>) {
        if self.state == ClassicState::PreparingRebalance {
            self.maybe_complete_join(scope);
        } else {
            self.prepare_rebalance(scope);
        }
    }

    /// Calls the members together.
    pub(super) fn prepare_rebalance(&mut self, scope: &mut Scope<'_>) {
        if self.state == ClassicState::CompletingRebalance {
            self.void_assignments(scope);
        }
        self.pending_sync.clear();
        let key = self.key(TimerKind::Sync);
        self.sync.cancel(|| key, scope.out);

        let is_initial = self.state == ClassicState::Empty;
        self.transition(ClassicState::PreparingRebalance, scope.now_ms);
        let key = self.key(TimerKind::Join);
        if is_initial {
            // The group is new: others are likely on their way.
            let delay_ms = scope.config.group_initial_rebalance_delay_ms;
            let remaining_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            self.initial_delay = InitialDelay {
                delay_ms,
                remaining_ms,
                member_added: false,
            };
            self.join.set(scope.after(delay_ms), || key, scope.out);
        } else if self.has_all_joined() {
            self.complete_join(scope);
        } else {
            self.join
                .set(scope.after(self.rebalance_timeout_ms()), || key, scope.out);
        }
    }

    /// Whoever waits for an assignment of the generation that ends now must rejoin.
    fn void_assignments(&mut self, scope: &mut Scope<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else {
                continue;
            };
            member.assignment = Bytes::new();
            if let Some(to) = member.awaiting_sync.take() {
                scope
                    .out
                    .reply(to, refused_sync(ErrorCode::RebalanceInProgress));
                self.restart_session(&id, scope);
            }
        }
    }

    /// Ends the joining if everyone has come. An initial rebalance waits for its delay.
    pub(super) fn maybe_complete_join(&mut self, scope: &mut Scope<'_>) {
        if self.state == ClassicState::PreparingRebalance
            && self.previous_state != ClassicState::Empty
            && self.has_all_joined()
        {
            self.complete_join(scope);
        }
    }

    /// The time to join is over. Of an initial rebalance's delay some may be left, if newcomers arrived.
    pub(super) fn join_time_over(&mut self, scope: &mut Scope<'_>) {
        if self.state != ClassicState::PreparingRebalance {
            return;
        }
        let InitialDelay {
            delay_ms,
            remaining_ms,
            member_added,
        } = self.initial_delay;
        let is_initial = self.previous_state == ClassicState::Empty;
        if is_initial && member_added && remaining_ms > 0 {
            let next_ms = scope
                .config
                .group_initial_rebalance_delay_ms
                .min(remaining_ms);
            self.initial_delay = InitialDelay {
                delay_ms: next_ms,
                remaining_ms: (remaining_ms - delay_ms).max(0),
                member_added: false,
            };
            let key = self.key(TimerKind::Join);
            self.join.set(scope.after(next_ms), || key, scope.out);
        } else {
            self.complete_join(scope);
        }
    }

    /// Begins the next generation with those who came.
    pub(super) fn complete_join(&mut self, scope: &mut Scope<'_>) {
        let key = self.key(TimerKind::Join);
        self.join.cancel(|| key, scope.out);
        // Static members are given the time of their session to come back (KIP-345).
        let is_late = |m: &&Member| m.awaiting_join.is_none() && m.instance_id.is_none();
        let late: Vec<Str> = self
            .members
            .values()
            .filter(is_late)
            .map(|m| m.id.clone())
            .collect();
        for member_id in &late {
            self.depart(member_id, Leaving::TimedOut, scope.out);
        }
        if !self.elect_leader() && !self.members.is_empty() {
            // Only absent static members are left: wait until one comes or their sessions end.
            let key = self.key(TimerKind::Join);
            self.join
                .set(scope.after(self.rebalance_timeout_ms()), || key, scope.out);
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(0);
        self.pending_sync.clear();
        if self.members.is_empty() {
            self.protocol_name = None;
            self.compute_subscription();
            self.transition(ClassicState::Empty, scope.now_ms);
            self.record(scope);
        } else {
            self.protocol_name = self.select_protocol();
            self.compute_subscription();
            self.transition(ClassicState::CompletingRebalance, scope.now_ms);
            self.announce_generation(scope);
        }
    }

    fn announce_generation(&mut self, scope: &mut Scope<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for member_id in &ids {
            let response = self.joined(member_id);
            self.answer_join(member_id, response, scope.out);
            self.restart_session(member_id, scope);
            if let Some(member) = self.members.get_mut(member_id) {
                member.is_new = false;
            }
            self.pending_sync.insert(member_id.clone());
        }
        let key = self.key(TimerKind::Sync);
        self.sync
            .set(scope.after(self.rebalance_timeout_ms()), || key, scope.out);
    }

    /// What a member of this generation is told; the leader hears of everyone.
    pub(super) fn joined(&self, member_id: &Str) -> JoinGroupResponse {
        let everyone = || self.members.values().map(|m| self.introduce(m)).collect();
        JoinGroupResponse {
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            member_id: member_id.clone(),
            members: if self.is_leader(member_id) {
                everyone()
            } else {
                Vec::new()
            },
            ..JoinGroupResponse::default()
        }
    }

    fn introduce(&self, member: &Member) -> JoinGroupResponseMember {
        let metadata = self
            .protocol_name
            .as_ref()
            .and_then(|name| member.metadata(name));
        JoinGroupResponseMember {
            member_id: member.id.clone(),
            group_instance_id: member.instance_id.clone(),
            metadata: metadata.cloned().unwrap_or_default(),
        }
    }

    /// Keeps the leader if it came, else takes one who did. False if nobody came.
    fn elect_leader(&mut self) -> bool {
        let came = |m: &Member| m.awaiting_join.is_some();
        let Some(leader) = &self.leader else {
            return false;
        };
        if self.members.get(leader).is_some_and(came) {
            return true;
        }
        match self.members.values().find(|m| came(m)) {
            Some(member) => {
                self.leader = Some(member.id.clone());
                true
            }
            None => false,
        }
    }

    /// Each member votes for the first of its protocols that all have; most votes win (G7). Of equals, the one that
    /// comes first by name: Kafka leaves it to chance.
    pub(super) fn select_protocol(&self) -> Option<Str> {
        let by_all = |name: &&Str| self.all_offer(name);
        let mut votes: BTreeMap<&Str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = member.protocol_names().find(by_all) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.values().copied().max()?;
        votes
            .into_iter()
            .find(|(_, count)| *count == most)
            .map(|(name, _)| name.clone())
    }

    /// Answers those who wait for their assignment.
    pub(super) fn hand_out_assignments(&mut self, scope: &mut Scope<'_>) {
        let ids: Vec<Str> = self.members.keys().cloned().collect();
        for id in ids {
            let response = self.assigned(&id);
            let waiting = self
                .members
                .get_mut(&id)
                .and_then(|m| m.awaiting_sync.take());
            if let Some(to) = waiting {
                scope.out.reply(to, Reply::SyncGroup(response));
                // While it waited its session could not end.
                self.restart_session(&id, scope);
            }
        }
    }
}
