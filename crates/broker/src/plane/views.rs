//! What the JSON API shows. The names of fields are for scripts and stay as they are; times are milliseconds since 1970.

use catchword_coordinator::ledger::{
    Change, ChangeId, Finished, Obstacle, Place, Plan, Tag, Who, plan_restore,
};
use catchword_wire::{Str, Uuid};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct ChangeList {
    pub(crate) changes: Vec<ChangeView>,
}

/// A change, all of its moves included.
#[derive(Debug, Serialize)]
pub(crate) struct ChangeView {
    pub(crate) id: String,
    pub(crate) group: String,
    pub(crate) at_ms: i64,
    pub(crate) kind: &'static str,
    pub(crate) by: ByView,
    /// The change that this one undid.
    pub(crate) undoes: Option<String>,
    /// Whether the group itself went with it.
    pub(crate) removes_group: bool,
    pub(crate) moves: Vec<MoveView>,
}

/// Who, as far as it is known; empty where it is not.
#[derive(Debug, Serialize)]
pub(crate) struct ByView {
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) member_id: String,
    pub(crate) principal: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct MoveView {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Null: nowhere, or `from_lost`.
    pub(crate) from: Option<i64>,
    /// Whether the records that told where it was were lost before a guardian read them.
    pub(crate) from_lost: bool,
    /// Null: removed.
    pub(crate) to: Option<i64>,
}

impl ByView {
    fn of(who: &Who) -> ByView {
        ByView {
            client_id: who.client.to_string(),
            host: who.host.trim_start_matches('/').to_owned(),
            member_id: who.member.to_string(),
            principal: who.principal.to_string(),
        }
    }
}

fn offset(place: &Option<Place>) -> Option<i64> {
    place.as_ref().map(|place| place.offset)
}

impl ChangeView {
    pub(crate) fn of(group: &str, change: &Change) -> ChangeView {
        let moves = change.moves.iter().map(|m| MoveView {
            topic: m.topic.to_string(),
            partition: m.partition,
            from: offset(&m.from),
            from_lost: m.lost_from,
            to: offset(&m.to),
        });
        ChangeView {
            id: change.id.to_string(),
            group: group.to_owned(),
            at_ms: change.at_ms,
            kind: change.kind.name(),
            by: ByView::of(&change.who),
            undoes: change.of.map(|of| of.to_string()),
            removes_group: change.removes_group,
            moves: moves.collect(),
        }
    }
}

/// Where a group was at a past time.
#[derive(Debug, Serialize)]
pub(crate) struct GroupAt {
    pub(crate) group: String,
    pub(crate) time_ms: i64,
    /// How finely that time is remembered: to the `move`, the `minute` or the `hour`.
    pub(crate) exact_to: &'static str,
    /// The oldest that is known of the group.
    pub(crate) known_since_ms: Option<i64>,
    pub(crate) partitions: Vec<PartitionAt>,
}

#[derive(Debug, Serialize)]
pub(crate) struct PartitionAt {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) then: i64,
    pub(crate) now: Option<i64>,
}

impl GroupAt {
    pub(crate) fn of(
        group: &str,
        time_ms: i64,
        exact_to: &'static str,
        then: &Finished,
        now: &Finished,
    ) -> GroupAt {
        let partitions = then.places.iter().map(|(key, place)| PartitionAt {
            topic: key.0.to_string(),
            partition: key.1,
            then: place.offset,
            now: now.places.get(key).map(|place| place.offset),
        });
        GroupAt {
            group: group.to_owned(),
            time_ms,
            exact_to,
            known_since_ms: now.first_ms,
            partitions: partitions.collect(),
        }
    }
}

/// What is gone, by group, what went last first.
#[derive(Debug, Serialize)]
pub(crate) struct Trash {
    /// What went before this is not shown.
    pub(crate) since_ms: i64,
    pub(crate) groups: Vec<GoneGroup>,
}

#[derive(Debug, Serialize)]
pub(crate) struct GoneGroup {
    pub(crate) group: String,
    /// When the last of it went.
    pub(crate) at_ms: i64,
    /// How it went.
    pub(crate) kind: &'static str,
    pub(crate) change: String,
    pub(crate) by: ByView,
    pub(crate) topics: Vec<String>,
    /// How many committed offsets are gone, and how many of them can be put back.
    pub(crate) offsets: usize,
    pub(crate) restorable: usize,
}

impl Trash {
    pub(crate) fn of(
        all: Vec<(Str, Finished)>,
        since_ms: i64,
        topic_id: impl Fn(&str) -> Option<Uuid>,
    ) -> Trash {
        let mut groups: Vec<GoneGroup> = all
            .iter()
            .filter_map(|(group, found)| {
                let plan = plan_restore(found, since_ms, &topic_id);
                let last = found.gone.values().max_by_key(|gone| gone.at_ms)?;
                let mut topics: Vec<String> = plan
                    .steps
                    .iter()
                    .map(|step| step.topic.to_string())
                    .collect();
                topics.dedup();
                (!plan.steps.is_empty()).then(|| GoneGroup {
                    group: group.to_string(),
                    at_ms: last.at_ms,
                    kind: last.kind.name(),
                    change: last.change.to_string(),
                    by: ByView::of(&last.who),
                    topics,
                    offsets: plan.steps.len(),
                    restorable: plan.writes(false).count(),
                })
            })
            .collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.at_ms));
        Trash { since_ms, groups }
    }
}

/// What an undo or a restore does, or did.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    pub(crate) group: String,
    pub(crate) applied: bool,
    /// The change that it was, by which it can itself be undone.
    pub(crate) change: Option<String>,
    /// The change that is undone.
    pub(crate) undoes: Option<ChangeView>,
    /// Where it goes back to, if it was told.
    pub(crate) to: Option<To>,
    pub(crate) partitions: Vec<StepView>,
}

/// A past time, or the tag that was made then.
#[derive(Debug, Serialize)]
pub(crate) struct To {
    tag: Option<String>,
    time_ms: i64,
    /// As in [`GroupAt`].
    exact_to: &'static str,
}

impl To {
    pub(crate) fn tag(name: &str, at_ms: i64) -> To {
        To {
            tag: Some(name.to_owned()),
            time_ms: at_ms,
            exact_to: "move",
        }
    }

    pub(crate) fn time(time_ms: i64, exact_to: &'static str) -> To {
        To {
            tag: None,
            time_ms,
            exact_to,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TagList {
    pub(crate) tags: Vec<TagView>,
    /// Hours in which the group moved, and where it was at their ends is known.
    pub(crate) hours: Vec<HourView>,
}

#[derive(Debug, Serialize)]
pub(crate) struct HourView {
    /// The hour's end, to be gone back to as to any time.
    pub(crate) time_ms: i64,
    /// How many committed offsets there were.
    pub(crate) offsets: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct TagView {
    group: String,
    tag: String,
    pub(crate) at_ms: i64,
    by: ByView,
    /// How many committed offsets it holds.
    offsets: usize,
}

impl TagView {
    pub(crate) fn of(group: &str, name: &str, tag: &Tag) -> TagView {
        TagView {
            group: group.to_owned(),
            tag: name.to_owned(),
            at_ms: tag.at_ms,
            by: ByView::of(&tag.who),
            offsets: tag.count,
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct StepView {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) now: Option<i64>,
    /// Null: it will be nowhere, as before.
    pub(crate) then: Option<i64>,
    /// Whether it is written.
    pub(crate) moves: bool,
    /// `moved-on`, `topic-recreated`, `no-topic`, `no-place-then`, `forgotten`, or null.
    pub(crate) obstacle: Option<&'static str>,
}

impl Done {
    pub(crate) fn of(group: &str, undoes: Option<ChangeView>, plan: &Plan, force: bool) -> Done {
        let written: Vec<_> = plan.writes(force).map(std::ptr::from_ref).collect();
        let mut written = written.into_iter().peekable();
        let steps = plan.steps.iter().map(|step| StepView {
            topic: step.topic.to_string(),
            partition: step.partition,
            now: offset(&step.now),
            then: offset(&step.then),
            moves: written.next_if(|one| std::ptr::eq(*one, step)).is_some(),
            obstacle: step.obstacle.map(|obstacle| match obstacle {
                Obstacle::MovedOn => "moved-on",
                Obstacle::Recreated => "topic-recreated",
                Obstacle::NoTopic => "no-topic",
                Obstacle::Forgotten => "forgotten",
                Obstacle::NoPlace => "no-place-then",
            }),
        });
        Done {
            group: group.to_owned(),
            applied: false,
            change: None,
            undoes,
            to: None,
            partitions: steps.collect(),
        }
    }

    /// It goes back to this.
    pub(crate) fn to(self, to: To) -> Done {
        Done {
            to: Some(to),
            ..self
        }
    }

    /// It was done, by this change.
    pub(crate) fn applied(self, change: Option<ChangeId>) -> Done {
        Done {
            applied: true,
            change: change.map(|id| id.to_string()),
            ..self
        }
    }
}
