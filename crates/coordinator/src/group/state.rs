//! The states of a classic group and which may follow which.

use std::fmt;

/// Kafka's states, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ClassicState {
    /// No members.
    Empty,
    /// Members are asked to join the next generation.
    PreparingRebalance,
    /// All have joined; the leader is working out who gets what.
    CompletingRebalance,
    /// Everyone can have their assignment.
    Stable,
}

impl ClassicState {
    /// Whether a group in this state may be in `next` afterwards.
    pub(crate) fn may_become(self, next: ClassicState) -> bool {
        use ClassicState::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        match next {
            Empty | CompletingRebalance => self == PreparingRebalance,
            PreparingRebalance => matches!(self, Empty | CompletingRebalance | Stable),
            Stable => self == CompletingRebalance,
        }
    }

    /// The name in Kafka's responses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
        }
    }
}

/// The name of the state of a group that does not exist.
pub(crate) const DEAD: &str = "Dead";

impl fmt::Display for ClassicState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
