//! The rights that a move needs at the guarded Kafka, looked at before it begins: Kafka takes what is allowed of a request and
//! refuses the rest, so that half a change would be made.

use std::collections::BTreeSet;
use std::fmt;

use catchword_client::{Client, ClientError, Operations};
use catchword_coordinator::MoveOffsets;

use super::Guardian;
use crate::plane::PlaneError;

/// One right that is missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Right {
    ReadGroup(String),
    DeleteGroup(String),
    DescribeGroup(String),
    ReadTopic(String),
}

impl Right {
    /// Operation, kind and name of the resource, in the words of `kafka-acls`.
    fn parts(&self) -> (&'static str, &'static str, &str) {
        match self {
            Right::ReadGroup(name) => ("Read", "group", name),
            Right::DeleteGroup(name) => ("Delete", "group", name),
            Right::DescribeGroup(name) => ("Describe", "group", name),
            Right::ReadTopic(name) => ("Read", "topic", name),
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, kind, name) = self.parts();
        write!(f, "{} on {kind} {name}", operation.to_uppercase())
    }
}

/// The rights that moving needs and that are known to be missing.
pub(super) fn missing(
    client: &mut Client,
    call: &MoveOffsets,
) -> Result<BTreeSet<Right>, ClientError> {
    let topics: BTreeSet<&str> = call.moves.iter().map(|m| m.topic.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let of_topics = client.topic_operations(&topics)?;
    let unread = of_topics.iter().filter(|(_, may)| !may.may_read());
    let mut missing: BTreeSet<Right> = unread
        .map(|(topic, _)| Right::ReadTopic(topic.clone()))
        .collect();
    let group = call.group_id.to_string();
    if let Some(may) = client.group_operations(&group)? {
        let lacks = |needed: bool, has: fn(Operations) -> bool| needed && !has(may);
        let commits = call.moves.iter().any(|m| m.then.is_some());
        let removes = call.moves.iter().any(|m| m.then.is_none());
        if lacks(commits, Operations::may_read) {
            missing.insert(Right::ReadGroup(group.clone()));
        }
        if lacks(removes, Operations::may_delete) {
            missing.insert(Right::DeleteGroup(group));
        }
    }
    Ok(missing)
}

impl Guardian {
    /// Refuses, and says what would give the rights.
    pub(super) fn not_authorized(&self, missing: &BTreeSet<Right>) -> PlaneError {
        let names: Vec<String> = missing.iter().map(Right::to_string).collect();
        let principal = self.kafka.security.user().unwrap_or("GUARDIAN");
        let give = missing.iter().map(|right| {
            let (operation, kind, name) = right.parts();
            format!(
                "--add --allow-principal User:{principal} --operation {operation} --{kind} {name}"
            )
        });
        let give: Vec<String> = give.collect();
        PlaneError::new(
            403,
            "not-authorized",
            format!(
                "the guarded Kafka does not give the guardian {}; nothing was changed",
                names.join(", ")
            ),
            format!(
                "whoever administers it gives the right with kafka-acls {}; then do it again",
                give.join(" and with kafka-acls ")
            ),
        )
    }
}
