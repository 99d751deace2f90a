//! How long the offsets of a group that nobody reads in are kept: as its own setting says, or the first pattern that it
//! fits, or as everybody's.

use std::collections::BTreeMap;

use catchword_wire::Str;

use crate::pins::Pins;

/// How long offsets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// They never expire, not even where their commit said when (OffsetCommit before version 5).
    Forever,
    /// So many milliseconds after their last commit, or after the group lost its last reader.
    Ms(i64),
}

/// Whose word it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionRule {
    /// What is set on the group.
    Own,
    /// A pattern that it fits.
    Pattern(String),
    /// What holds for all others.
    Default,
}

/// Retentions that are not everybody's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionRules {
    /// By group.
    pub groups: BTreeMap<Str, Retention>,
    /// By pattern, the first that fits counts; `*` stands for any characters.
    pub patterns: Vec<(String, Retention)>,
    /// By group, the bookmarks that neither expire nor are deleted.
    pub pins: BTreeMap<Str, Pins>,
}

impl RetentionRules {
    /// Whether a bookmark is pinned.
    pub fn is_pinned(&self, group_id: &str, topic: &str, partition: i32) -> bool {
        let pins = self.pins.get(group_id);
        pins.is_some_and(|pins| pins.has(topic, partition))
    }

    /// What holds for a group, and why; `default_ms` where nothing else does.
    pub fn of(&self, group_id: &str, default_ms: i64) -> (Retention, RetentionRule) {
        if let Some(own) = self.groups.get(group_id) {
            return (*own, RetentionRule::Own);
        }
        let mut patterns = self.patterns.iter();
        match patterns.find(|(pattern, _)| fits(pattern, group_id)) {
            Some((pattern, retention)) => (*retention, RetentionRule::Pattern(pattern.clone())),
            None => (Retention::Ms(default_ms), RetentionRule::Default),
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any characters.
pub fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The earliest place leaves most for what follows.
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name) in [
            ("billing-*", "billing-"),
            ("billing-*", "billing-eu"),
            ("*", ""),
            ("*-prod", "a-prod"),
            ("a*b*c", "abbbc"),
            ("a*b*c", "a-b-c"),
            ("exact", "exact"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("billing-*", "billing"),
            ("*-prod", "a-prod-2"),
            ("a*b*c", "ac"),
            ("a*a", "a"),
            ("exact", "exactly"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_groups_own_word_counts_before_a_pattern_and_that_before_the_default() {
        let rules = RetentionRules {
            groups: BTreeMap::from([("billing-eu".into(), Retention::Ms(5))]),
            patterns: vec![
                ("billing-*".into(), Retention::Forever),
                ("*".into(), Retention::Ms(7)),
            ],
            ..RetentionRules::default()
        };
        assert_eq!(
            rules.of("billing-eu", 9),
            (Retention::Ms(5), RetentionRule::Own)
        );
        let billing = RetentionRule::Pattern("billing-*".into());
        assert_eq!(rules.of("billing-us", 9), (Retention::Forever, billing));
        assert_eq!(rules.of("x", 9).0, Retention::Ms(7));
        let none = RetentionRules::default();
        assert_eq!(none.of("x", 9), (Retention::Ms(9), RetentionRule::Default));
    }
}
