//! How long a group's committed offsets are there, and what protects them: what the JSON API tells of it, in few words.

use serde::{Deserialize, Serialize};

use crate::plane::span;
use crate::time;

/// Of one group. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub(in crate::commands) struct Kept {
    /// When the first committed offset expires if nobody reads; `None`: not as things are, or the broker does not tell.
    pub(in crate::commands) expires_at_ms: Option<i64>,
    /// Whether the broker warns of it.
    pub(in crate::commands) expires_soon: bool,
    /// Whether retention waits for the group.
    pub(in crate::commands) holds_retention: bool,
    /// What is pinned.
    pub(in crate::commands) pins: Vec<String>,
    /// `forward-only` or `frozen`: what only members may do to them.
    pub(in crate::commands) protection: Option<String>,
}

impl Kept {
    /// What a list of groups says of it; empty if there is nothing to mark.
    pub(in crate::commands) fn words(&self) -> String {
        let expires = self.expires_at_ms.filter(|_| self.expires_soon);
        let stays = match expires {
            Some(at_ms) => Some(format!(
                "expires in {}",
                span((at_ms - time::now_ms()).max(0))
            )),
            None if self.pins.iter().any(|pin| pin == "*") => Some("pinned".into()),
            None if !self.pins.is_empty() => Some(format!("pinned: {}", self.pins.join(", "))),
            None => None,
        };
        let waits = self.holds_retention.then(|| "retention waits".to_owned());
        let marks = [stays, self.protection.clone(), waits];
        marks.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
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

    #[test]
    fn what_protects_a_group_is_marked_beside_what_is_pinned() {
        let frozen = Kept {
            protection: Some("frozen".into()),
            ..Kept::default()
        };
        assert_eq!(frozen.words(), "frozen");
        let all = Kept {
            pins: vec!["*".into()],
            holds_retention: true,
            ..frozen
        };
        assert_eq!(all.words(), "pinned; frozen; retention waits");
    }
}
