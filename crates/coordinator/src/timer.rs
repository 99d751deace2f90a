//! Timers as the shard asks for them: a name and a time.
//!
//! The shard keeps every deadline itself and asks for a timer only when none is set early enough; a timer that fires
//! early, late or for nothing is harmless. So a heartbeat costs no timer at all.

use catchword_wire::Str;

use crate::effect::{Effect, Output};

/// A timer's name. Setting it again replaces it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerKey {
    /// The group it belongs to.
    pub group_id: Str,
    /// What it waits for.
    pub kind: TimerKind,
}

/// What a timer waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKind {
    /// The member with this id to show that it is alive.
    Session(Str),
    /// The members of the group to join.
    Join,
    /// The members of the group to fetch their assignment.
    Sync,
    /// This member of a KIP-848 group to give up partitions.
    Revocation(Str),
    /// This classic member of a KIP-848 group to rejoin.
    MemberJoin(Str),
    /// This classic member of a KIP-848 group to fetch its assignment.
    MemberSync(Str),
}

/// A moment that may be moved, and the timer that watches it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deadline {
    at_ms: Option<i64>,
    /// When the timer that the driver holds will fire.
    armed_ms: Option<i64>,
}

impl Deadline {
    /// Moves the deadline. The driver hears of it only if its timer would come too late.
    pub(crate) fn set(&mut self, at_ms: i64, key: impl FnOnce() -> TimerKey, out: &mut Output) {
        self.at_ms = Some(at_ms);
        if self.armed_ms.is_none_or(|armed_ms| at_ms < armed_ms) {
            self.armed_ms = Some(at_ms);
            out.effects.push(Effect::SetTimer { key: key(), at_ms });
        }
    }

    /// When it is, if there is one.
    pub(crate) fn at_ms(&self) -> Option<i64> {
        self.at_ms
    }

    /// Whether there is one.
    pub(crate) fn is_set(&self) -> bool {
        self.at_ms.is_some()
    }

    /// Takes the deadline away.
    pub(crate) fn cancel(&mut self, key: impl FnOnce() -> TimerKey, out: &mut Output) {
        self.at_ms = None;
        if self.armed_ms.take().is_some() {
            out.effects.push(Effect::CancelTimer { key: key() });
        }
    }

    /// The driver's timer fired: whether the deadline is really over. If it was moved meanwhile, asks again.
    pub(crate) fn fired(
        &mut self,
        now_ms: i64,
        key: impl FnOnce() -> TimerKey,
        out: &mut Output,
    ) -> bool {
        self.armed_ms = None;
        match self.at_ms {
            None => false,
            Some(at_ms) if at_ms > now_ms => {
                self.set(at_ms, key, out);
                false
            }
            Some(_) => {
                self.at_ms = None;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TimerKey {
        TimerKey {
            group_id: "g".into(),
            kind: TimerKind::Join,
        }
    }

    #[test]
    fn a_deadline_that_moves_back_needs_no_new_timer_until_the_old_one_fires() {
        let mut out = Output::default();
        let mut deadline = Deadline::default();
        deadline.set(100, key, &mut out);
        deadline.set(150, key, &mut out);
        assert_eq!(
            out.effects,
            [Effect::SetTimer {
                key: key(),
                at_ms: 100
            }]
        );
        out.clear();
        assert!(!deadline.fired(100, key, &mut out));
        assert_eq!(
            out.effects,
            [Effect::SetTimer {
                key: key(),
                at_ms: 150
            }]
        );
        assert!(deadline.fired(160, key, &mut out));
        assert!(!deadline.fired(170, key, &mut out));
    }

    #[test]
    fn a_deadline_that_moves_forward_replaces_the_timer_and_a_cancelled_one_never_fires() {
        let mut out = Output::default();
        let mut deadline = Deadline::default();
        deadline.set(100, key, &mut out);
        deadline.set(50, key, &mut out);
        deadline.cancel(key, &mut out);
        deadline.cancel(key, &mut out);
        let set = |at_ms| Effect::SetTimer { key: key(), at_ms };
        assert_eq!(
            out.effects,
            [set(100), set(50), Effect::CancelTimer { key: key() }]
        );
        assert!(!deadline.fired(200, key, &mut out));
    }
}
