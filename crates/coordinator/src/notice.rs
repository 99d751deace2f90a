//! What a commit did that mere reading on does not do, for whoever asks later why records came twice.
//!
//! Kafka says nothing of it: it takes a lower offset like any other, and whose commit is refused hears an error that its
//! program may never show. Nothing is decided here.

use catchword_wire::{ErrorCode, Str};

/// Something about a member's commit that somebody may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The group.
    pub group_id: Str,
    /// The member id that the request gave, empty if none.
    pub member_id: Str,
    /// Its client id.
    pub client_id: Str,
    /// Where from, such as `/127.0.0.1`.
    pub client_host: Str,
    /// What it was.
    pub what: Noticed,
}

/// What was noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noticed {
    /// A member set a bookmark back: what lies between is read again.
    StepBack {
        /// The topic.
        topic: Str,
        /// The partition.
        partition: i32,
        /// Where the bookmark was.
        from: i64,
        /// Where it is now.
        to: i64,
    },
    /// A member that the group has given up wanted to commit. What it has read since the bookmarks comes twice.
    Refused {
        /// What it was told.
        error: ErrorCode,
        /// Of how many partitions the bookmarks would have moved on.
        partitions: usize,
        /// By how many offsets in all.
        again: i64,
    },
    /// Somebody who is no member, and did not read on from where he was, set a bookmark forward: what lies between was
    /// given to nobody, as far as can be known. Of members it is not told: a Fetch does not say for which group it reads,
    /// so that a member which skipped records looks like one which has read them.
    Jump {
        /// The topic.
        topic: Str,
        /// The partition.
        partition: i32,
        /// Where the bookmark was.
        from: i64,
        /// Where it is now.
        to: i64,
    },
    /// A bookmark was set beyond the end of its log: whoever reads on from it starts where `auto.offset.reset` says.
    BeyondEnd {
        /// The topic.
        topic: Str,
        /// The partition.
        partition: i32,
        /// Where it was set.
        to: i64,
        /// Where the log ended.
        end: i64,
    },
}

impl Noticed {
    /// The name for scripts; it stays as it is.
    pub fn name(&self) -> &'static str {
        match self {
            Noticed::StepBack { .. } => "step-back",
            Noticed::Refused { .. } => "refused",
            Noticed::Jump { .. } => "jump",
            Noticed::BeyondEnd { .. } => "beyond-end",
        }
    }
}
