//! The rights that a move needs at the guarded Kafka, looked at before it begins: Kafka takes what is allowed of a request and
//! refuses the rest, so that half a change would be made.

use std::collections::BTreeSet;
use std::fmt;

use catchword_client::{Client, ClientError};
use catchword_coordinator::{BookmarkMove, MoveOffsets};

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

/// Whether a refusal came before anything was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    /// Kafka takes what is allowed of a request: some of it may have been done.
    Perhaps,
}

impl Changed {
    /// As the last words of a message.
    pub(super) fn words(self) -> &'static str {
        match self {
            Changed::Nothing => "nothing was changed",
            Changed::Perhaps => "some of the change may have been made",
        }
    }
}

impl Right {
    /// The kind of what it is a right to.
    pub(super) fn kind(&self) -> &'static str {
        self.parts().1
    }

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

/// The rights that moving takes.
pub(super) fn taken_by(call: &MoveOffsets) -> BTreeSet<Right> {
    let mut rights = to_commit(call);
    rights.append(&mut to_remove(call));
    rights
}

/// The rights that its commits take; none if there are none.
pub(super) fn to_commit(call: &MoveOffsets) -> BTreeSet<Right> {
    rights(call, |m| m.then.is_some(), Right::ReadGroup)
}

/// The rights that it takes to remove what it removes.
pub(super) fn to_remove(call: &MoveOffsets) -> BTreeSet<Right> {
    rights(call, |m| m.then.is_none(), Right::DeleteGroup)
}

fn rights(
    call: &MoveOffsets,
    concerns: impl Fn(&&BookmarkMove) -> bool,
    of_group: impl Fn(String) -> Right,
) -> BTreeSet<Right> {
    let moves = call.moves.iter().filter(concerns);
    let of_topics = moves.map(|m| Right::ReadTopic(m.topic.to_string()));
    let mut rights: BTreeSet<Right> = of_topics.collect();
    if !rights.is_empty() {
        rights.insert(of_group(call.group_id.to_string()));
    }
    rights
}

/// Those of them that are known to be missing.
pub(super) fn missing(
    client: &mut Client,
    call: &MoveOffsets,
) -> Result<BTreeSet<Right>, ClientError> {
    let taken = taken_by(call);
    let topics = taken.iter().filter_map(|right| match right {
        Right::ReadTopic(topic) => Some(topic.as_str()),
        _ => None,
    });
    let topics: Vec<&str> = topics.collect();
    let of_topics = client.topic_operations(&topics)?;
    let of_group = client.group_operations(&call.group_id)?;
    // What is not told is not known to be missing.
    let is_missing = |right: &Right| match right {
        Right::ReadTopic(topic) => of_topics.get(topic).is_some_and(|may| !may.may_read()),
        Right::ReadGroup(_) => of_group.is_some_and(|may| !may.may_read()),
        Right::DeleteGroup(_) => of_group.is_some_and(|may| !may.may_delete()),
        Right::DescribeGroup(_) => false,
    };
    let missing = taken.iter().filter(|right| is_missing(right));
    Ok(missing.cloned().collect())
}

impl Guardian {
    /// Refuses, and says what would give the rights.
    pub(super) fn not_authorized(&self, missing: &BTreeSet<Right>, changed: Changed) -> PlaneError {
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
                "the guarded Kafka does not give the guardian {}; {}",
                names.join(", "),
                changed.words()
            ),
            format!(
                "whoever administers it gives the right with kafka-acls {}; then do it again",
                give.join(" and with kafka-acls ")
            ),
        )
    }
}
