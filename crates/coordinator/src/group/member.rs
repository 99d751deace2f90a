//! A member of a classic group.
//!
//! A member outlives the request that made it, so nothing in it shares a request's buffer.

use bytes::Bytes;
use catchword_wire::Str;
use catchword_wire::messages::join_group_request::JoinGroupRequestProtocol;

use crate::call::ReplyTo;
use crate::timer::Deadline;

/// A member and what it waits for.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) id: Str,
    /// KIP-345: the name under which it comes back after a restart.
    pub(crate) instance_id: Option<Str>,
    pub(crate) client_id: Str,
    pub(crate) client_host: Str,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
    /// What the leader gave it; empty between generations.
    pub(crate) assignment: Bytes,
    pub(crate) awaiting_join: Option<ReplyTo>,
    pub(crate) awaiting_sync: Option<ReplyTo>,
    /// Its first join has not been answered: it can't heartbeat yet, so only a timeout tells if it is gone.
    pub(crate) is_new: bool,
    pub(crate) session: Deadline,
}

/// An assignment strategy that a member offers, with what it says to the leader (KIP-429's owned partitions among it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protocol {
    pub(crate) name: Str,
    pub(crate) metadata: Bytes,
}

impl Member {
    /// What it says under a protocol; `None` if it does not offer it.
    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find(|p| p.name == protocol)
            .map(|p| &p.metadata)
    }

    /// The names that it offers, each once, in order of preference.
    pub(crate) fn protocol_names(&self) -> impl Iterator<Item = &Str> {
        let earlier = |i: usize| self.protocols[..i].iter();
        self.protocols
            .iter()
            .enumerate()
            .filter(move |(i, p)| earlier(*i).all(|e| e.name != p.name))
            .map(|(_, p)| &p.name)
    }

    /// Whether a request offers exactly what the member did.
    pub(crate) fn offers(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        self.protocols.len() == protocols.len()
            && self
                .protocols
                .iter()
                .zip(protocols)
                .all(|(p, q)| p.name == q.name && p.metadata == q.metadata)
    }

    /// Whether it shows that it is alive by waiting for an answer.
    pub(crate) fn has_satisfied_heartbeat(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }
}

/// A request's protocols in buffers of their own.
pub(crate) fn detach(protocols: &[JoinGroupRequestProtocol]) -> Vec<Protocol> {
    let detach = |p: &JoinGroupRequestProtocol| Protocol {
        name: p.name.detached(),
        metadata: Bytes::copy_from_slice(&p.metadata),
    };
    protocols.iter().map(detach).collect()
}

/// Whether a text fits the 16-bit lengths of the records.
pub(crate) fn fits_record(text: &str) -> bool {
    text.len() <= i16::MAX as usize
}
