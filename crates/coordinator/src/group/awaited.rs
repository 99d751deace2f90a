//! Whom a rebalance waits for, and since when: what a group that stands still stands still for.

use catchword_wire::Str;

use super::classic::ClassicGroup;
use super::member::Member;
use super::state::ClassicState;

/// Somebody whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// Its member id.
    pub member_id: Str,
    /// Its client id; empty of one that has not joined yet.
    pub client_id: Str,
    /// Where from, such as `/127.0.0.1`.
    pub client_host: Str,
    /// What it is to do.
    pub what: Awaits,
    /// Since when, ms since 1970; `None` where that is not known.
    pub since_ms: Option<i64>,
    /// Until when; then the group goes on without it. `None` if it is not held to any time yet.
    pub until_ms: Option<i64>,
}

/// What somebody is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaits {
    /// To join again (JoinGroup).
    Rejoin,
    /// To share the partitions out, as the leader of a classic group does (SyncGroup).
    Assign,
    /// To ask for what it was given (SyncGroup).
    Sync,
    /// To give up these partitions, by topic; of a streams group, tasks, by subtopology.
    GiveUp(Vec<(Str, i32)>),
}

impl Awaits {
    /// The name for scripts; it stays as it is.
    pub fn name(&self) -> &'static str {
        match self {
            Awaits::Rejoin => "rejoin",
            Awaits::Assign => "assign",
            Awaits::Sync => "sync",
            Awaits::GiveUp(_) => "give-up",
        }
    }
}

impl ClassicGroup {
    /// Whom it waits for.
    pub(crate) fn awaited(&self) -> Vec<Awaited> {
        let (since_ms, until_ms) = (self.state_since_ms(), self.patience_ends_ms());
        let of = |member: &Member, what| Awaited {
            member_id: member.id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            what,
            since_ms,
            until_ms,
        };
        let nobody_yet = |member_id: &Str| Awaited {
            member_id: member_id.clone(),
            client_id: Str::EMPTY,
            client_host: Str::EMPTY,
            what: Awaits::Rejoin,
            since_ms,
            until_ms,
        };
        match self.state() {
            ClassicState::Empty => Vec::new(),
            ClassicState::PreparingRebalance => {
                let absent = self.members().filter(|m| m.awaiting_join.is_none());
                let absent = absent.map(|member| of(member, Awaits::Rejoin));
                absent.chain(self.announced().map(nobody_yet)).collect()
            }
            ClassicState::CompletingRebalance => {
                let silent = self.members().filter(|m| !self.has_asked(&m.id));
                silent
                    .map(|member| match self.is_leader(&member.id) {
                        true => of(member, Awaits::Assign),
                        false => of(member, Awaits::Sync),
                    })
                    .collect()
            }
            ClassicState::Stable => {
                let silent = self.members().filter(|m| !self.has_asked(&m.id));
                silent.map(|member| of(member, Awaits::Sync)).collect()
            }
        }
    }
}
