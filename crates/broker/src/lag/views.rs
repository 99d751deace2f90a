//! What `/v1/lag` shows. The names of fields are for scripts and stay as they are.

use serde::Serialize;

use super::pace::Pace;
use super::watch::ObjectiveView;
use crate::plane::{AwaitedView, GroupView, KeptView, PartitionLag};

#[derive(Debug, Serialize)]
pub(crate) struct LagList {
    /// When this was so, ms since 1970.
    pub(crate) at_ms: i64,
    /// Whether records are counted; the guardian has only the offsets of its Kafka.
    pub(crate) counted: bool,
    pub(crate) groups: Vec<GroupLag>,
}

/// A group: the sums of its partitions, or the worst of them.
#[derive(Debug, Serialize)]
pub(crate) struct GroupLag {
    pub(crate) group: String,
    pub(crate) state: String,
    pub(crate) kind: String,
    pub(crate) lag: i64,
    pub(crate) age_ms: Option<i64>,
    /// Null where it is known of no partition.
    pub(crate) bytes: Option<i64>,
    pub(crate) lost: i64,
    /// What was handed to members and not committed; null where it is known of no partition.
    pub(crate) uncommitted: Option<i64>,
    pub(crate) speed: Option<f64>,
    pub(crate) to_zero_ms: Option<i64>,
    pub(crate) retention_in_ms: Option<i64>,
    /// Whom a rebalance of it waits for.
    pub(crate) awaited: Vec<AwaitedView>,
    /// Null: it has none.
    pub(crate) objective: Option<ObjectiveView>,
    #[serde(flatten)]
    pub(crate) kept: KeptView,
    /// Left out unless asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partitions: Option<Vec<PartitionPace>>,
}

/// A group in one partition.
#[derive(Debug, Serialize)]
pub(crate) struct PartitionPace {
    #[serde(flatten)]
    pub(crate) lag: PartitionLag,
    /// Offsets a second that the bookmark moves on by, over the last minute or so; null before the second look.
    pub(crate) speed: Option<f64>,
    /// How long until the group has read all at this pace; null if it has, or does not gain on the writers.
    pub(crate) to_zero_ms: Option<i64>,
    /// How long the oldest unread record is kept at least; null: for ever, as far as can be said.
    pub(crate) retention_in_ms: Option<i64>,
}

impl PartitionPace {
    pub(crate) fn of(lag: PartitionLag, pace: Option<&Pace>, retention_in_ms: Option<i64>) -> Self {
        PartitionPace {
            lag,
            speed: pace.and_then(Pace::rates).map(|rates| tenths(rates.read)),
            to_zero_ms: pace.copied().and_then(Pace::to_zero_ms),
            retention_in_ms,
        }
    }
}

impl GroupLag {
    pub(crate) fn of(
        group: GroupView,
        partitions: Vec<PartitionPace>,
        objective: Option<ObjectiveView>,
    ) -> GroupLag {
        let behind = || {
            partitions
                .iter()
                .filter(|p| p.lag.lag.is_some_and(|lag| lag > 0))
        };
        let is_gaining = behind().all(|p| p.to_zero_ms.is_some());
        let sum = |of: fn(&PartitionPace) -> Option<f64>| {
            let known: Vec<f64> = partitions.iter().filter_map(of).collect();
            (!known.is_empty()).then(|| tenths(known.iter().sum()))
        };
        let bytes: Vec<i64> = partitions.iter().filter_map(|p| p.lag.bytes).collect();
        GroupLag {
            group: group.group,
            state: group.state,
            kind: group.kind,
            lag: group.lag,
            age_ms: group.age_ms,
            bytes: (!bytes.is_empty()).then(|| bytes.iter().sum()),
            lost: group.lost,
            uncommitted: group.uncommitted,
            speed: sum(|p| p.speed),
            to_zero_ms: behind()
                .filter_map(|p| p.to_zero_ms)
                .max()
                .filter(|_| is_gaining),
            retention_in_ms: behind().filter_map(|p| p.retention_in_ms).min(),
            awaited: group.awaited,
            objective,
            kept: group.kept,
            partitions: Some(partitions),
        }
    }
}

/// Rates are not known any better.
fn tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(lag: i64, to_zero_ms: Option<i64>, retention_in_ms: Option<i64>) -> PartitionPace {
        PartitionPace {
            to_zero_ms,
            speed: Some(1.26),
            ..PartitionPace::of(
                PartitionLag::of(&"t".into(), 0, 0, Some(0), Some(lag)),
                None,
                retention_in_ms,
            )
        }
    }

    fn group(partitions: Vec<PartitionPace>) -> GroupLag {
        GroupLag::of(
            GroupView::of("g", "Stable", "classic", vec![], vec![]),
            partitions,
            None,
        )
    }

    #[test]
    fn a_group_has_read_all_when_its_last_partition_has() {
        let some = group(vec![
            partition(5, Some(10), None),
            partition(7, Some(30), None),
        ]);
        assert_eq!((some.to_zero_ms, some.speed), (Some(30), Some(2.5)));
        let one_stands = group(vec![partition(5, Some(10), None), partition(7, None, None)]);
        assert_eq!(one_stands.to_zero_ms, None);
        let one_is_done = group(vec![partition(5, Some(10), None), partition(0, None, None)]);
        assert_eq!(one_is_done.to_zero_ms, Some(10));
    }

    #[test]
    fn a_group_is_as_safe_as_the_partition_that_retention_reaches_first() {
        let some = group(vec![
            partition(5, None, Some(50)),
            partition(7, None, Some(20)),
        ]);
        assert_eq!(some.retention_in_ms, Some(20));
        assert_eq!(group(vec![partition(0, None, None)]).retention_in_ms, None);
    }
}
