//! What kind of change it was, from what the record says of itself or, where it says nothing, from what it did.

use crate::record::headers::Cause;

/// Why bookmarks moved, as people ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Reading on.
    Commit,
    /// Reading on, as part of a transaction.
    Transaction,
    /// Somebody who is no member set the bookmark.
    Reset,
    /// The bookmark went back, and nobody says why: a reset, or a consumer that lost its way.
    StepBack,
    /// Offsets of the group were deleted.
    OffsetDelete,
    /// The group was deleted.
    GroupDelete,
    /// Nobody read for the retention time.
    Expire,
    /// The topic was deleted.
    TopicDelete,
    /// A tombstone that does not say why, as Apache Kafka writes it: deleted or expired.
    Removed,
    /// A change was undone.
    Undo,
    /// What was gone was put back.
    Restore,
    /// Somebody wrote it into ZooKeeper, and it was taken over from there: an old consumer that reads on, or a person.
    Zookeeper,
    /// A cause that this version does not know.
    Other,
}

impl Kind {
    /// The kind of a move with this `cw.cause`.
    pub(super) fn of(cause: Option<&str>, is_meant: bool, is_removal: bool) -> Kind {
        let is = |one: Cause| cause == Some(one.name());
        if is(Cause::OffsetDelete) {
            Kind::OffsetDelete
        } else if is(Cause::GroupDelete) {
            Kind::GroupDelete
        } else if is(Cause::Expire) {
            Kind::Expire
        } else if is(Cause::TopicDelete) {
            Kind::TopicDelete
        } else if is(Cause::Undo) {
            Kind::Undo
        } else if is(Cause::Restore) {
            Kind::Restore
        } else if is(Cause::Reset) {
            Kind::Reset
        } else if is_removal {
            Kind::Removed
        } else if !is_meant && is(Cause::Transaction) {
            Kind::Transaction
        } else if is(Cause::Zookeeper) {
            Kind::Zookeeper
        } else if !is_meant {
            Kind::Commit
        } else if is(Cause::Standalone) {
            Kind::Reset
        } else if cause.is_none() || is(Cause::Commit) || is(Cause::Transaction) {
            Kind::StepBack
        } else {
            Kind::Other
        }
    }

    /// Whether it is reading on, which nobody wants to take back.
    pub fn is_plain(self) -> bool {
        matches!(self, Kind::Commit | Kind::Transaction)
    }

    /// The name for scripts; it stays as it is.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Transaction => "transaction",
            Kind::Reset => "reset",
            Kind::StepBack => "step-back",
            Kind::OffsetDelete => "offset-delete",
            Kind::GroupDelete => "group-delete",
            Kind::Expire => "expire",
            Kind::TopicDelete => "topic-delete",
            Kind::Removed => "removed",
            Kind::Undo => "undo",
            Kind::Restore => "restore",
            Kind::Zookeeper => "zookeeper",
            Kind::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_zookeeper_is_told_forward_and_back() {
        for goes_back in [false, true] {
            let kind = Kind::of(Some(Cause::Zookeeper.name()), goes_back, false);
            assert_eq!((kind, kind.is_plain()), (Kind::Zookeeper, false));
        }
    }
}
