//! How long a group's committed offsets are there: what the broker's JSON API tells of it, in few words.

use std::collections::BTreeMap;

use catchword_client::Client;
use serde::{Deserialize, Serialize};

use crate::plane::{self, Api, span};
use crate::time;

/// Of one group. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Kept {
    /// When the first committed offset expires if nobody reads; `None`: not as things are, or the broker does not tell.
    pub(super) expires_at_ms: Option<i64>,
    /// Whether the broker warns of it.
    pub(super) expires_soon: bool,
    /// What is pinned.
    pub(super) pins: Vec<String>,
}

impl Kept {
    /// What a list of groups says of it; empty if there is nothing to mark.
    pub(super) fn words(&self) -> String {
        let expires = self.expires_at_ms.filter(|_| self.expires_soon);
        match expires {
            Some(at_ms) => format!("expires in {}", span((at_ms - time::now_ms()).max(0))),
            None if self.pins.iter().any(|pin| pin == "*") => "pinned".into(),
            None if !self.pins.is_empty() => format!("pinned: {}", self.pins.join(", ")),
            None => String::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Group {
    group: String,
    #[serde(flatten)]
    kept: Kept,
}

/// Of all groups; empty where the broker does not tell.
pub(super) fn of_all(client: &mut Client) -> BTreeMap<String, Kept> {
    let told = Api::find(client).and_then(|api| api.get("/v1/groups"));
    let groups = told.and_then(|told| plane::read::<Vec<Group>>(&told["groups"]));
    let groups = groups.unwrap_or_default().into_iter();
    groups.map(|group| (group.group, group.kept)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_said_before_what_is_pinned() {
        let pins = |pins: &[&str]| Kept {
            pins: pins.iter().map(|pin| (*pin).to_owned()).collect(),
            ..Kept::default()
        };
        assert_eq!(Kept::default().words(), "");
        assert_eq!(pins(&["*"]).words(), "pinned");
        assert_eq!(pins(&["t:1", "u"]).words(), "pinned: t:1, u");
        let due = Kept {
            expires_at_ms: Some(time::now_ms() + 3 * 3_600_000),
            expires_soon: true,
            ..pins(&["t:1"])
        };
        assert!(due.words().starts_with("expires in "), "{}", due.words());
        let later = Kept {
            expires_soon: false,
            ..due
        };
        assert_eq!(later.words(), "pinned: t:1");
    }
}
