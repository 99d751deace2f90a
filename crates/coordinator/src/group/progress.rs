//! How far a member whose group's coordinator assigns is on its way to its target: consumer groups and streams groups alike.

/// Where a member is on its way to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum MemberState {
    /// It has all that the target of its epoch gives it.
    #[default]
    Stable,
    /// It has to give up something, and has not said yet that it did.
    Unrevoked,
    /// It waits for what others have not given up.
    Unreleased,
    /// Written by a version that knows more.
    Unknown,
}

/// What a member has, and at which epoch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Current<A> {
    pub(super) epoch: i32,
    /// The epoch before: the member may not have heard of the change.
    pub(super) previous_epoch: i32,
    pub(super) state: MemberState,
    pub(super) assigned: A,
    /// No longer assigned, but not given up yet.
    pub(super) revoking: A,
}

/// In the records the states are numbers one after the other; each kind of group begins with another.
impl MemberState {
    const UNKNOWN: i8 = 127;

    pub(super) fn from_code(code: i8, first: i8) -> MemberState {
        match code.wrapping_sub(first) {
            0 => MemberState::Stable,
            1 => MemberState::Unrevoked,
            2 => MemberState::Unreleased,
            _ => MemberState::Unknown,
        }
    }

    pub(super) fn code(self, first: i8) -> i8 {
        match self {
            MemberState::Stable => first,
            MemberState::Unrevoked => first + 1,
            MemberState::Unreleased => first + 2,
            MemberState::Unknown => MemberState::UNKNOWN,
        }
    }
}

impl<A> Current<A> {
    /// Whether it has all that the target of this epoch gives it.
    pub(super) fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_were_written_and_others_are_unknown() {
        for first in [0, 1] {
            for code in i8::MIN..=i8::MAX {
                let state = MemberState::from_code(code, first);
                let is_known = (first..first + 3).contains(&code);
                assert_eq!(state != MemberState::Unknown, is_known, "{code}");
                let written = if is_known { code } else { 127 };
                assert_eq!(state.code(first), written);
            }
        }
    }
}
