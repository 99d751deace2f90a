//! Pins: bookmarks that nobody may take away, and that never expire. Kafka has nothing like them.
//!
//! A pin holds a bookmark where `offsets.protect` leaves off: members and resets move it as ever, but it is there. What
//! ends it all the same is the end of its topic, since there is nothing left to point at.

use catchword_wire::Str;

/// Stands for every topic.
const ALL: &str = "*";

/// What is pinned of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins(Vec<(Str, Option<i32>)>);

impl Pins {
    /// Pins of topics, `*` for all of them, each whole or in one partition.
    pub fn new(pins: impl IntoIterator<Item = (Str, Option<i32>)>) -> Pins {
        Pins(pins.into_iter().collect())
    }

    /// Whether nothing is pinned.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bookmark in this partition is pinned.
    pub fn has(&self, topic: &str, partition: i32) -> bool {
        self.0.iter().any(|(name, index)| {
            (&**name == ALL || &**name == topic) && index.is_none_or(|index| index == partition)
        })
    }

    /// The pins as they are written: `*`, `orders`, `orders:3`.
    pub fn texts(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(topic, partition)| match partition {
            Some(partition) => format!("{topic}:{partition}"),
            None => topic.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_holds_a_group_a_topic_or_a_partition() {
        let pins = Pins::new([("orders".into(), None), ("pay".into(), Some(3))]);
        assert!(pins.has("orders", 0) && pins.has("pay", 3));
        assert!(!pins.has("pay", 2) && !pins.has("order", 0));
        assert_eq!(pins.texts().collect::<Vec<_>>(), ["orders", "pay:3"]);
        assert!(Pins::new([("*".into(), None)]).has("any", 7));
        assert!(Pins::default().is_empty());
    }
}
