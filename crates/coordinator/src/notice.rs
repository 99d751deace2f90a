//! What a commit did that mere reading on does not do, for whoever asks later why records came twice.
//!
//! Kafka says nothing of it: it takes a lower offset like any other, and whose commit is refused hears an error that its
//! program may never show. Nothing is decided here.

use catchword_wire::{ErrorCode, Str, Uuid};

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
    /// A member is gone. What it was handed and has not committed comes to others again; how much that is knows only
    /// who handed it out.
    Gone {
        /// How it went.
        how: Leaving,
        /// The partitions that it had.
        places: Vec<LeftAt>,
    },
}

/// How a member went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It said so, or somebody did for it (LeaveGroup).
    Left,
    /// It was silent for too long, or did not come to a rebalance.
    TimedOut,
    /// An administrator sent it away.
    SentAway,
}

/// A partition that a member had when it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftAt {
    /// The topic.
    pub topic: Str,
    /// Its id; zero where it is not known.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// The bookmark, in this edition of the topic.
    pub committed: Option<i64>,
    /// What was handed to the member. For the driver to say.
    pub handed: Option<Handed>,
}

/// Records that a client was handed, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handed {
    /// Where it began to read.
    pub from: i64,
    /// The offset behind the last record.
    pub to: i64,
}

impl Leaving {
    /// The name for scripts; it stays as it is.
    pub fn name(self) -> &'static str {
        match self {
            Leaving::Left => "left",
            Leaving::TimedOut => "timed-out",
            Leaving::SentAway => "sent-away",
        }
    }
}

impl LeftAt {
    /// How many offsets come again, at most: those that were handed out and not committed. Without a bookmark nobody knows
    /// from where.
    pub fn again(&self) -> i64 {
        let ends = self.handed.zip(self.committed);
        ends.map_or(0, |(handed, committed)| {
            handed.to.saturating_sub(committed).max(0)
        })
    }

    /// Whether somebody may want to know that it was left like this. Clients are handed more than they have dealt with, so
    /// one that leaves in order is told of only if it has committed nothing of what it was handed.
    pub fn is_remarkable(&self, how: Leaving) -> bool {
        let Some(handed) = self.handed else {
            return false;
        };
        self.committed.is_none_or(|committed| match how {
            Leaving::Left => committed <= handed.from && committed < handed.to,
            Leaving::TimedOut | Leaving::SentAway => committed < handed.to,
        })
    }
}

impl Noticed {
    /// The name for scripts; it stays as it is.
    pub fn name(&self) -> &'static str {
        match self {
            Noticed::StepBack { .. } => "step-back",
            Noticed::Refused { .. } => "refused",
            Noticed::Jump { .. } => "jump",
            Noticed::BeyondEnd { .. } => "beyond-end",
            Noticed::Gone { .. } => "uncommitted",
        }
    }
}
