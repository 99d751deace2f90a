//! Groups of which committed offsets expire soon: each gets a line in the log when that begins, and is counted.
//!
//! Memory: after a restart whoever is still due is told of again.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use catchword_coordinator::Expiring;
use catchword_wire::Str;
use tracing::warn;

/// The groups of the last sweep.
#[derive(Debug, Default)]
pub(crate) struct Warned(Mutex<BTreeSet<Str>>);

impl Warned {
    /// Takes what a sweep has found, and tells of the groups that the sweep before had not.
    pub(super) fn take(&self, now_ms: i64, soon: Vec<Expiring>) {
        for group in self.new_ones(soon) {
            warn!("{}", words(now_ms, &group));
        }
    }

    fn new_ones(&self, soon: Vec<Expiring>) -> Vec<Expiring> {
        let now = soon.iter().map(|group| group.group_id.clone()).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *known, now);
        let is_new = |group: &Expiring| !before.contains(&group.group_id);
        soon.into_iter().filter(is_new).collect()
    }

    /// Whether this is one of them.
    pub(crate) fn has(&self, group_id: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(group_id)
    }

    /// How many groups there are.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn words(now_ms: i64, group: &Expiring) -> String {
    let (id, minutes) = (&group.group_id, (group.first_ms - now_ms).max(0) / 60_000);
    let left = match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    };
    format!(
        "group {id:?} is not read: {} of its committed offsets expire soon, the first in {left}; `catchword keep {id} never` keeps them, `catchword restore {id}` brings them back afterwards",
        group.offsets
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon(groups: &[&str]) -> Vec<Expiring> {
        let expiring = |group: &&str| Expiring {
            group_id: Str::copy(group),
            first_ms: 5_400_000,
            offsets: 3,
        };
        groups.iter().map(expiring).collect()
    }

    fn names(found: Vec<Expiring>) -> Vec<String> {
        found.iter().map(|e| e.group_id.to_string()).collect()
    }

    #[test]
    fn a_group_is_told_of_once_until_it_was_read_in_between() {
        let warned = Warned::default();
        assert_eq!(names(warned.new_ones(soon(&["a"]))), ["a"]);
        assert_eq!(names(warned.new_ones(soon(&["a", "b"]))), ["b"]);
        assert_eq!(warned.count(), 2);
        assert_eq!(names(warned.new_ones(soon(&["b"]))), [""; 0]);
        assert_eq!(names(warned.new_ones(soon(&["a", "b"]))), ["a"]);
    }

    #[test]
    fn the_line_says_when_and_what_to_do() {
        let words = words(0, &soon(&["g"])[0]);
        assert!(words.contains("3 of its committed offsets"), "{words}");
        assert!(words.contains("in 1 h 30 min"), "{words}");
        assert!(words.contains("catchword keep g never"), "{words}");
    }
}
