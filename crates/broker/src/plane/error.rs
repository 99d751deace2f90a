//! Why a question is not answered or a change not made, in words that say what to do.

use std::fmt::Display;

use catchword_coordinator::Protection;
use catchword_coordinator::ledger::{ChangeId, Obstacle, Plan};
use catchword_wire::ErrorCode;
use serde::Serialize;

/// An error as a client of the JSON API gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlaneError {
    /// The HTTP status.
    #[serde(skip)]
    pub(crate) status: u16,
    /// For scripts; stays as it is.
    pub(crate) error: &'static str,
    /// For people.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) what_to_do: String,
}

impl PlaneError {
    pub(crate) fn new(
        status: u16,
        error: &'static str,
        message: impl Into<String>,
        what_to_do: impl Into<String>,
    ) -> PlaneError {
        PlaneError {
            status,
            error,
            message: message.into(),
            what_to_do: what_to_do.into(),
        }
    }

    pub(crate) fn no_group(group: &str) -> PlaneError {
        PlaneError::new(
            404,
            "unknown-group",
            format!("nothing is known of a group {group:?}"),
            "`catchword groups` lists the groups there are, `catchword trash` those that are gone",
        )
    }

    pub(super) fn no_change(id: ChangeId) -> PlaneError {
        PlaneError::new(
            404,
            "unknown-change",
            format!("there is no change {id}, or no more"),
            "`catchword undo` lists the last changes, `catchword log GROUP` those of a group",
        )
    }

    pub(super) fn nothing_gone(group: &str) -> PlaneError {
        PlaneError::new(
            409,
            "nothing-gone",
            format!("group {group:?} has lost no committed offsets that are still in the trash"),
            format!("`catchword log {group}` shows what was done to it"),
        )
    }

    pub(super) fn moved_on(group: &str, partitions: usize) -> PlaneError {
        let (partitions, have) = match partitions {
            1 => ("1 partition".to_owned(), "has"),
            n => (format!("{n} partitions"), "have"),
        };
        PlaneError::new(
            409,
            "moved-on",
            format!("{partitions} of group {group:?} {have} moved since; nothing was changed"),
            "look at the preview; --force overwrites what was committed since (and that can be undone as well)",
        )
    }

    pub(super) fn overtaken(group: &str) -> PlaneError {
        PlaneError::new(
            409,
            "overtaken",
            format!("somebody moved group {group:?} at this very moment; nothing was changed"),
            "look again, and do it again",
        )
    }

    pub(super) fn active(group: &str) -> PlaneError {
        PlaneError::new(
            409,
            "group-active",
            format!("group {group:?} has live members; nothing was changed"),
            format!(
                "do it --live: they are sent away for a moment, rejoin, and read from there; or stop them, wait until `catchword show {group}` says Empty, and do it again"
            ),
        )
    }

    /// What a guardian cannot do, since members are the business of the Kafka that it guards.
    pub(super) fn members_are_elsewhere() -> PlaneError {
        PlaneError::new(
            409,
            "guarded",
            "the members are with the Kafka that is guarded, which sends nobody away to have a group moved; nothing was changed",
            "stop the consumers, wait until `catchword show GROUP` says Empty, then do it without --live",
        )
    }

    /// What a guardian would put back at once.
    pub(super) fn is_to_stay(group: &str) -> PlaneError {
        PlaneError::new(
            409,
            "protected",
            format!(
                "committed offsets of group {group:?} that this would remove are to stay: they are pinned, or kept for ever; nothing was changed"
            ),
            format!("`catchword pin {group} --off` and `catchword keep {group} default` lift it"),
        )
    }

    /// A plan of which nothing can or needs to be written.
    pub(super) fn nothing_to_do(group: &str, plan: &Plan) -> PlaneError {
        let recreated = plan.count(Obstacle::Recreated);
        let gone = plan.count(Obstacle::NoTopic);
        if recreated > 0 {
            return PlaneError::new(
                409,
                "topic-recreated",
                format!(
                    "the topics were deleted and created again since: the old places of group {group:?} are offsets of other records; nothing was changed"
                ),
                format!(
                    "choose a place in the new topic: catchword rewind {group} --to PLACE --topic TOPIC"
                ),
            );
        }
        if gone > 0 {
            return PlaneError::new(
                409,
                "no-topic",
                format!(
                    "the topics of these places of group {group:?} do not exist any more; nothing was changed"
                ),
                "a topic's deletion cannot be taken back, so there is nothing to point at",
            );
        }
        if plan.count(Obstacle::Forgotten) > 0 {
            return PlaneError::new(
                409,
                "forgotten",
                format!(
                    "nobody knows any more where group {group:?} was before this change: history did not reach so far (offsets.history.max.bytes); nothing was changed"
                ),
                format!(
                    "`catchword at {group} TIME` shows what is still known; then choose a place: catchword rewind {group} --to PLACE"
                ),
            );
        }
        PlaneError::new(
            409,
            "nothing-to-do",
            format!("group {group:?} is already where it would be put; nothing was changed"),
            format!("`catchword log {group}` shows its last changes"),
        )
    }

    /// The group is protected from being moved like this.
    pub(super) fn protected(group: &str, protection: Protection) -> PlaneError {
        let how = match protection {
            Protection::Frozen => "is frozen, so nobody moves it from outside",
            Protection::ForwardOnly => "is protected from being set back",
        };
        PlaneError::new(
            409,
            "protected",
            format!("group {group:?} {how}; nothing was changed"),
            format!("`catchword protect {group} off` lifts that"),
        )
    }

    /// A committed offset would be removed that is pinned.
    pub(super) fn pinned(group: &str, topic: &str, partition: i32) -> PlaneError {
        PlaneError::new(
            409,
            "pinned",
            format!(
                "the committed offset of group {group:?} in {topic}:{partition} is pinned, so it is not removed; nothing was changed"
            ),
            format!(
                "`catchword pin {group} --list` lists what is pinned, `catchword pin {group} --off` lifts it"
            ),
        )
    }

    pub(crate) fn refused(error: ErrorCode) -> PlaneError {
        PlaneError::new(
            503,
            "refused",
            format!("the group's coordinator refused: {error:?}; nothing was changed"),
            "the broker's log says why; if it is still starting, wait and do it again",
        )
    }

    pub(crate) fn loading() -> PlaneError {
        PlaneError::new(
            503,
            "loading",
            "groups are still being read",
            "wait; the broker's log says how far it is",
        )
    }

    pub(crate) fn stopping() -> PlaneError {
        PlaneError::new(
            503,
            "stopping",
            "the broker is stopping",
            "do it again when it is back; then `catchword log GROUP` shows whether the change was made",
        )
    }

    pub(crate) fn unreadable(why: impl Display) -> PlaneError {
        PlaneError::new(
            500,
            "unreadable",
            format!("__consumer_offsets cannot be read: {why}"),
            "`catchword doctor DIR` checks the data directory of a stopped broker",
        )
    }
}
