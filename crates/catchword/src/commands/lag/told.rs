//! What is told of groups' lag, by the broker or made up from Kafka's protocol. The field names are for scripts.

use serde::{Deserialize, Serialize};

use crate::commands::awaited::Awaited;
use crate::commands::distance::PartitionLag;
use crate::commands::kept::Kept;

/// What is told of groups, by `/v1/lag`, or made up from Kafka's protocol. The field names are for scripts.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::commands) struct Lags {
    pub(in crate::commands) at_ms: i64,
    /// Whether records were counted, not offsets.
    pub(super) counted: bool,
    pub(in crate::commands) groups: Vec<GroupLag>,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct GroupLag {
    pub(in crate::commands) group: String,
    pub(in crate::commands) state: String,
    pub(in crate::commands) kind: Option<String>,
    #[serde(flatten)]
    pub(in crate::commands) lag: Lag,
    /// Whom a rebalance of it waits for.
    #[serde(default)]
    pub(in crate::commands) awaited: Vec<Awaited>,
    /// What it is held to.
    #[serde(default)]
    pub(in crate::commands) objective: Option<Objective>,
    /// How long its committed offsets are there.
    #[serde(flatten)]
    pub(in crate::commands) kept: Kept,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::commands) partitions: Option<Vec<PartitionPace>>,
}

/// A lag objective, and whether it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct Objective {
    pub(in crate::commands) age_ms: Option<i64>,
    pub(in crate::commands) records: Option<i64>,
    pub(in crate::commands) status: String,
    pub(in crate::commands) why: Option<String>,
    pub(in crate::commands) since_ms: i64,
    pub(in crate::commands) partition: Option<Place>,
}

/// The partition that a status is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct Place {
    pub(in crate::commands) topic: String,
    pub(in crate::commands) partition: i32,
}

impl Objective {
    /// `STOP (gone)`.
    pub(in crate::commands) fn words(&self) -> String {
        match &self.why {
            Some(why) => format!("{} ({})", self.status, why.replace('-', " ")),
            None => self.status.clone(),
        }
    }
}

/// What is alike in groups and partitions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::commands) struct Lag {
    pub(in crate::commands) lag: Option<i64>,
    pub(in crate::commands) age_ms: Option<i64>,
    pub(in crate::commands) bytes: Option<i64>,
    pub(in crate::commands) lost: i64,
    #[serde(default)]
    pub(in crate::commands) uncommitted: Option<i64>,
    pub(in crate::commands) speed: Option<f64>,
    pub(in crate::commands) to_zero_ms: Option<i64>,
    pub(in crate::commands) retention_in_ms: Option<i64>,
}

/// A group in one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::commands) struct PartitionPace {
    pub(in crate::commands) topic: String,
    pub(in crate::commands) partition: i32,
    pub(in crate::commands) committed: Option<i64>,
    pub(in crate::commands) start: Option<i64>,
    pub(in crate::commands) end: Option<i64>,
    #[serde(default)]
    pub(super) unsure: i64,
    #[serde(flatten)]
    pub(in crate::commands) lag: Lag,
}

impl GroupLag {
    pub(super) fn by_offsets(
        group: &str,
        state: String,
        lag: i64,
        lost: i64,
        partitions: Option<Vec<PartitionPace>>,
    ) -> Self {
        Self {
            group: group.to_owned(),
            state,
            kind: None,
            lag: Lag {
                lag: Some(lag),
                lost,
                ..Lag::default()
            },
            awaited: Vec::new(),
            objective: None,
            kept: Kept::default(),
            partitions,
        }
    }
}

impl PartitionPace {
    pub(super) fn by_offsets(found: &PartitionLag) -> Self {
        Self {
            topic: found.topic.clone(),
            partition: found.partition,
            committed: found.committed,
            start: found.log_start,
            end: found.end,
            unsure: found.lag.unwrap_or(0),
            lag: Lag {
                lag: found.lag,
                lost: found.lost,
                ..Lag::default()
            },
        }
    }
}
