//! What comes out of the shard: records to append, and what is to be done once they are durable. Nothing in this file
//! decides anything.

use std::sync::Arc;

use crate::call::ReplyTo;
use crate::notice::Notice;
use crate::records::Records;
use crate::reply::Reply;
use crate::timer::TimerKey;

/// A record's headers: shared, since all records of a request carry the same.
pub type Headers = Arc<[catchword_wire::batch::Header]>;

/// Something for the driver to do once the records before it are durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Answer a call. Each call is answered exactly once.
    Reply {
        /// Where to.
        to: ReplyTo,
        /// What.
        reply: Reply,
    },
    /// Call [`GroupShard::timer`](crate::GroupShard::timer) with `key` at this time or later. Replaces a timer of the
    /// same key.
    SetTimer {
        /// The timer.
        key: TimerKey,
        /// When, in milliseconds since 1970.
        at_ms: i64,
    },
    /// Tell whoever asks for it. Nothing depends on it.
    Notice(Box<Notice>),
    /// Forget a timer. Firing it all the same does no harm.
    CancelTimer {
        /// The timer.
        key: TimerKey,
    },
}

/// What a step gives. The driver hands the same one in again and again, cleared, so that no step allocates it anew.
#[derive(Debug)]
pub struct Output<E = Effect> {
    /// To be appended, in this order, in one batch.
    pub records: Records,
    /// To be appended after the records, in this order, each in a batch of its own.
    pub transactional: Vec<Transactional>,
    /// To be performed, in this order, once all of these are durable.
    pub effects: Vec<E>,
}

/// What belongs to a producer's transaction: its batch carries the producer's id and epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transactional {
    /// Records that count once the transaction is committed.
    Records {
        /// Whose transaction.
        producer: ProducerEpoch,
        /// What is written.
        records: Records,
    },
    /// The end of the transaction in this partition.
    Marker(Marker),
}

/// A producer, and which of its lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerEpoch {
    /// The producer's id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// The end of a producer's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whose transaction, and the producer's epoch at its end.
    pub producer: ProducerEpoch,
    /// Whether what was written counts from now on, or never.
    pub commit: bool,
    /// The epoch of the coordinator that decided it.
    pub coordinator_epoch: i32,
    /// 2: the producer's epoch rises with each end, so that it is larger here than in the transaction (KIP-890).
    pub transaction_version: i16,
}

impl<E> Default for Output<E> {
    fn default() -> Output<E> {
        Output {
            records: Records::default(),
            transactional: Vec::new(),
            effects: Vec::new(),
        }
    }
}

impl<E> Output<E> {
    /// Forgets records and effects, keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.transactional.clear();
        self.effects.clear();
    }

    /// Whether nothing is to be appended.
    pub fn writes_nothing(&self) -> bool {
        self.records.is_empty() && self.transactional.is_empty()
    }
}

impl Output {
    pub(crate) fn reply(&mut self, to: ReplyTo, reply: Reply) {
        self.effects.push(Effect::Reply { to, reply });
    }
}
