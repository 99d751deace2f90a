//! The last things that were noticed about members' commits, and how many there were since the start.
//!
//! Memory, and bounded: what became of the bookmarks is in the history; this is for the moment when somebody asks.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use catchword_coordinator::{Leaving, LeftAt, Notice, Noticed};
use tracing::info;

use crate::clock;

/// The most that are kept.
const MAX_KEPT: usize = 1000;
/// A log line at most so often, ms: a consumer in trouble may do it again with every commit.
const LOG_EVERY_MS: i64 = 1000;
/// A bookmark beyond its log's end is told once in so long, ms: it stands there from one commit to the next.
const AGAIN_AFTER_MS: i64 = 60_000;
/// How many bookmarks beyond the end are told apart; when two share a slot, they are told more often.
const SLOTS: usize = 4096;
/// So many of them are told in a minute at most: nobody could read more, and they would cost every commit.
const MAX_TOLD: u64 = MAX_KEPT as u64;

/// A notice and its time, ms since 1970.
pub(crate) type Kept = (i64, Notice);

#[derive(Debug)]
pub(crate) struct Audit {
    kept: Mutex<Ring>,
    /// Which bookmarks were last told to be beyond the end, and when: 32 bits of a hash and 32 of the time.
    told: Box<[AtomicU64]>,
    /// The minute in which one was last told, and in the low 32 bits how many were in that minute.
    told_in_minute: AtomicU64,
    hasher: RandomState,
    step_back: AtomicU64,
    refused: AtomicU64,
    refused_records: AtomicU64,
    beyond_end: AtomicU64,
    jump: AtomicU64,
    uncommitted: AtomicU64,
    uncommitted_records: AtomicU64,
}

#[derive(Debug, Default)]
struct Ring {
    notices: VecDeque<Kept>,
    logged_ms: i64,
    /// How many have had no log line since.
    unlogged: u64,
}

/// How many there were since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) step_back: u64,
    pub(crate) refused: u64,
    /// The offsets by which bookmarks would have moved on.
    pub(crate) refused_records: u64,
    pub(crate) beyond_end: u64,
    pub(crate) jump: u64,
    /// Members that went without having committed all that they were handed.
    pub(crate) uncommitted: u64,
    /// The offsets that they were handed and had not committed.
    pub(crate) uncommitted_records: u64,
}

impl Default for Audit {
    fn default() -> Audit {
        Audit {
            kept: Mutex::default(),
            told: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            told_in_minute: AtomicU64::new(0),
            hasher: RandomState::new(),
            step_back: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            refused_records: AtomicU64::new(0),
            beyond_end: AtomicU64::new(0),
            jump: AtomicU64::new(0),
            uncommitted: AtomicU64::new(0),
            uncommitted_records: AtomicU64::new(0),
        }
    }
}

impl Audit {
    /// The group's bookmarks in the topic, for telling which of them are beyond their log's end.
    pub(crate) fn beyond_end(&self, group: &str, topic: &str) -> BeyondEnd<'_> {
        BeyondEnd {
            audit: self,
            hash: self.hasher.hash_one((group, topic)),
            minute: (clock::now_ms() / AGAIN_AFTER_MS) as u64,
        }
    }

    /// Takes a notice.
    pub(crate) fn note(&self, notice: Notice) {
        self.note_at(clock::now_ms(), notice);
    }

    fn note_at(&self, now_ms: i64, notice: Notice) {
        let counter = match &notice.what {
            Noticed::StepBack { .. } => &self.step_back,
            Noticed::BeyondEnd { .. } => &self.beyond_end,
            Noticed::Jump { .. } => &self.jump,
            Noticed::Gone { places, .. } => {
                let again: i64 = places.iter().map(LeftAt::again).sum();
                let again = u64::try_from(again).unwrap_or(0);
                self.uncommitted_records.fetch_add(again, Ordering::Relaxed);
                &self.uncommitted
            }
            Noticed::Refused { again, .. } => {
                let again = u64::try_from(*again).unwrap_or(0);
                self.refused_records.fetch_add(again, Ordering::Relaxed);
                &self.refused
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut ring = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms.saturating_sub(ring.logged_ms) >= LOG_EVERY_MS {
            let more = match std::mem::take(&mut ring.unlogged) {
                0 => String::new(),
                n => format!(" ({n} more like it since the last line; `catchword audit` has them)"),
            };
            info!("{}{more}", words(&notice));
            ring.logged_ms = now_ms;
        } else {
            ring.unlogged += 1;
        }
        if ring.notices.len() == MAX_KEPT {
            ring.notices.pop_front();
        }
        ring.notices.push_back((now_ms, notice));
    }

    /// The newest first; of one group, if it is named.
    pub(crate) fn newest(&self, group: Option<&str>, limit: usize) -> Vec<Kept> {
        let ring = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_asked = |kept: &&Kept| group.is_none_or(|group| *kept.1.group_id == *group);
        let newest = ring.notices.iter().rev().filter(is_asked);
        newest.take(limit).cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            step_back: of(&self.step_back),
            refused: of(&self.refused),
            refused_records: of(&self.refused_records),
            beyond_end: of(&self.beyond_end),
            jump: of(&self.jump),
            uncommitted: of(&self.uncommitted),
            uncommitted_records: of(&self.uncommitted_records),
        }
    }
}

/// Which bookmarks of a group in a topic were told to be beyond the end. A consumer whose bookmark is there says so with
/// every commit, so it must be cheap to know that it was told.
pub(crate) struct BeyondEnd<'a> {
    audit: &'a Audit,
    hash: u64,
    minute: u64,
}

impl BeyondEnd<'_> {
    /// The partition's slot, and what it holds when the partition was told in this minute.
    fn slot(&self, partition: i32) -> (&AtomicU64, u64) {
        let own =
            (self.hash ^ u64::from(partition.cast_unsigned())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = &self.audit.told[(own >> 32) as usize % SLOTS];
        (slot, own << 32 | self.minute & 0xffff_ffff)
    }

    /// Whether as many were told in this minute as may be.
    pub(crate) fn is_enough(&self) -> bool {
        let told = self.audit.told_in_minute.load(Ordering::Relaxed);
        told >> 32 == self.minute && told & 0xffff_ffff >= MAX_TOLD
    }

    /// Whether it was told in this minute.
    pub(crate) fn is_told(&self, partition: i32) -> bool {
        let (slot, told) = self.slot(partition);
        slot.load(Ordering::Relaxed) == told
    }

    /// Tells it.
    pub(crate) fn tell(&self, partition: i32, notice: Notice) {
        let (slot, told) = self.slot(partition);
        slot.store(told, Ordering::Relaxed);
        let count = &self.audit.told_in_minute;
        let one_more = |told: u64| match told >> 32 == self.minute {
            true => Some(told + 1),
            false => Some(self.minute << 32 | 1),
        };
        let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        self.audit.note(notice);
    }
}

fn words(notice: &Notice) -> String {
    let Notice {
        group_id,
        client_id,
        client_host,
        what,
        ..
    } = notice;
    let who = format!("group {group_id:?}: {client_id} on {client_host}");
    match what {
        Noticed::StepBack {
            topic,
            partition,
            from,
            to,
        } => format!("{who} set {topic}:{partition} back from {from} to {to}"),
        Noticed::Refused {
            error,
            partitions,
            again,
        } => format!(
            "{who} is no member any more ({error:?}); its commit of {partitions} partitions was refused, and up to {again} records are read twice"
        ),
        Noticed::Jump {
            topic,
            partition,
            from,
            to,
        } => format!(
            "{who} is no member and set {topic}:{partition} forward from {from} to {to}: what lies between was given to nobody"
        ),
        Noticed::BeyondEnd {
            topic,
            partition,
            to,
            end,
        } => format!("{who} set {topic}:{partition} to {to}, beyond the log's end {end}"),
        Noticed::Gone { how, places } => {
            let how = match how {
                Leaving::Left => "left",
                Leaving::TimedOut => "is gone (not heard of in time)",
                Leaving::SentAway => "was sent away",
            };
            let again: i64 = places.iter().map(LeftAt::again).sum();
            format!(
                "{who} {how} and had not committed all that it was handed in {} partitions: up to {again} records come again",
                places.len()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use catchword_wire::Str;

    use super::*;

    fn notice(group: &'static str, to: i64) -> Notice {
        Notice {
            group_id: Str::copy(group),
            member_id: "m".into(),
            client_id: "c".into(),
            client_host: "/10.0.0.7".into(),
            what: Noticed::StepBack {
                topic: "t".into(),
                partition: 0,
                from: 1_000_000,
                to,
            },
        }
    }

    #[test]
    fn the_newest_are_kept_and_all_are_counted() {
        let audit = Audit::default();
        for to in 0..MAX_KEPT as i64 + 5 {
            audit.note_at(to, notice(if to % 2 == 0 { "even" } else { "odd" }, to));
        }
        let all = audit.newest(None, usize::MAX);
        assert_eq!((all.len(), all[0].0), (MAX_KEPT, MAX_KEPT as i64 + 4));
        let odd = audit.newest(Some("odd"), 2);
        assert_eq!(
            odd.iter().map(|kept| kept.0).collect::<Vec<_>>(),
            [1003, 1001]
        );
        assert_eq!(audit.counts().step_back, MAX_KEPT as u64 + 5);
    }

    #[test]
    fn a_bookmark_that_stays_beyond_the_end_is_told_once_a_minute() {
        let audit = Audit::default();
        let at = |minute, group| BeyondEnd {
            minute,
            ..audit.beyond_end(group, "t")
        };
        assert!(!at(1, "g").is_told(0));
        at(1, "g").tell(0, notice("g", 1_000_001));
        assert!(at(1, "g").is_told(0));
        assert!(!at(1, "g").is_told(1) && !at(1, "h").is_told(0) && !at(2, "g").is_told(0));
    }

    #[test]
    fn no_more_bookmarks_beyond_the_end_are_told_in_a_minute_than_are_kept() {
        let audit = Audit::default();
        let at = |minute| BeyondEnd {
            minute,
            ..audit.beyond_end("g", "t")
        };
        for partition in 0..MAX_KEPT as i32 {
            assert!(!at(1).is_enough(), "{partition}");
            at(1).tell(partition, notice("g", 1_000_001));
        }
        assert!(at(1).is_enough());
        assert!(!at(2).is_enough());
    }

    #[test]
    fn a_refused_commit_says_what_it_costs() {
        let mut refused = notice("g", 0);
        refused.what = Noticed::Refused {
            error: catchword_wire::ErrorCode::IllegalGeneration,
            partitions: 2,
            again: 480,
        };
        assert!(words(&refused).ends_with("up to 480 records are read twice"));
        let audit = Audit::default();
        audit.note_at(0, refused);
        assert_eq!(audit.counts().refused_records, 480);
    }
}
