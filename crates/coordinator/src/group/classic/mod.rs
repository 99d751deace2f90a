//! A classic group: JoinGroup, SyncGroup, Heartbeat, LeaveGroup.
//!
//! The broker carries bytes and counts votes; the leader, one of the clients, decides who gets what. Members come and
//! go in `membership`, generations begin in `rebalance`, each request has its own file.
//!
//! Invariants: `awaiting_join` is the number of members that wait for their join to be answered; a static member's
//! name leads to a member; a group that is `Empty` has no members.

mod commit;
mod convert;
mod heartbeat;
mod join;
mod leave;
mod load;
mod membership;
mod rebalance;
mod static_member;
mod subscription;
mod sync;
mod timers;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use catchword_wire::Str;

use super::Members;
use super::member::Member;
use super::state::ClassicState;
use crate::offsets::Expiry;
use crate::timer::{Deadline, TimerKey, TimerKind};

/// The protocol type of Kafka's consumers, whose subscriptions we can read.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// The state of a classic group.
#[derive(Debug, Clone)]
pub(crate) struct ClassicGroup {
    id: Str,
    state: ClassicState,
    /// The state before; a rebalance after `Empty` is an initial one.
    previous_state: ClassicState,
    /// When the present state began; unknown where an old record does not say.
    state_since_ms: Option<i64>,
    generation: i32,
    protocol_type: Option<Str>,
    protocol_name: Option<Str>,
    leader: Option<Str>,
    members: Members<Member>,
    /// Group instance id to member id (KIP-345).
    static_members: BTreeMap<Str, Str>,
    /// Member ids that were given out and not used yet (KIP-394).
    pending_join: BTreeMap<Str, Deadline>,
    /// Members that have not asked for their assignment in this generation.
    pending_sync: BTreeSet<Str>,
    awaiting_join: usize,
    /// How many members offer each protocol. There are a few, in no order.
    supported: Vec<(Str, usize)>,
    /// What the members read; `None` where they don't tell us.
    subscribed: Option<BTreeSet<Str>>,
    join: Deadline,
    /// What is left of an initial rebalance's delay.
    initial_delay: InitialDelay,
    sync: Deadline,
    /// The last record that was written of this group, as it stands in the log.
    recorded: Option<Bytes>,
}

/// An initial rebalance is put off while newcomers arrive, but no longer than the rebalance timeout.
#[derive(Debug, Clone, Copy, Default)]
struct InitialDelay {
    delay_ms: i32,
    remaining_ms: i32,
    member_added: bool,
}

impl ClassicGroup {
    pub(crate) fn new(id: Str, now_ms: i64) -> ClassicGroup {
        ClassicGroup {
            id,
            state: ClassicState::Empty,
            previous_state: ClassicState::Empty,
            state_since_ms: Some(now_ms),
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: Members::default(),
            static_members: BTreeMap::new(),
            pending_join: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            awaiting_join: 0,
            supported: Vec::new(),
            subscribed: None,
            join: Deadline::default(),
            initial_delay: InitialDelay::default(),
            sync: Deadline::default(),
            recorded: None,
        }
    }

    pub(crate) fn id(&self) -> &Str {
        &self.id
    }

    pub(crate) fn state(&self) -> ClassicState {
        self.state
    }

    pub(crate) fn protocol_type(&self) -> Option<&Str> {
        self.protocol_type.as_ref()
    }

    pub(crate) fn protocol_name(&self) -> Option<&Str> {
        self.protocol_name.as_ref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state == ClassicState::Empty
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.is_empty() && self.pending_join.is_empty()
    }

    pub(crate) fn recorded(&self) -> Option<&Bytes> {
        self.recorded.as_ref()
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader
            .as_ref()
            .is_some_and(|leader| leader == member_id)
    }

    /// Whether its members are consumers, whose words we can read.
    pub(crate) fn uses_consumer_protocol(&self) -> bool {
        self.protocol_type
            .as_ref()
            .is_some_and(|kind| kind == CONSUMER_PROTOCOL_TYPE)
    }

    /// Since when nobody reads what is not subscribed to (D4).
    pub(crate) fn expiry(&self) -> Expiry {
        let since_ms = Expiry::UnreadSince(self.state_since_ms.unwrap_or(i64::MIN));
        match (&self.protocol_type, self.state) {
            // Nobody ever joined: only commits tell.
            (None, _) => Expiry::UnreadSince(i64::MIN),
            (Some(_), ClassicState::Empty) => since_ms,
            // A topic that was given up was given up in a rebalance, so no later than the group became stable.
            (Some(_), ClassicState::Stable)
                if self.uses_consumer_protocol() && self.subscribed.is_some() =>
            {
                since_ms
            }
            _ => Expiry::Never,
        }
    }

    fn transition(&mut self, next: ClassicState, now_ms: i64) {
        assert!(
            self.state.may_become(next),
            "group {}: {} can't become {next}",
            self.id,
            self.state
        );
        self.previous_state = self.state;
        self.state = next;
        self.state_since_ms = Some(now_ms);
    }

    fn key(&self, kind: TimerKind) -> TimerKey {
        TimerKey {
            group_id: self.id.clone(),
            kind,
        }
    }
}

/// The timer of a member's session.
fn session_key(group_id: &Str, member_id: &Str) -> TimerKey {
    TimerKey {
        group_id: group_id.clone(),
        kind: TimerKind::Session(member_id.clone()),
    }
}
