//! Where old Kafka kept a bookmark: `/consumers/GROUP/offsets/TOPIC/PARTITION`, the offset as decimal text.

use std::fmt;

/// Below this are the groups.
pub const ROOT: &str = "/consumers";
/// The node below a group's that says that it has moved: nothing is mirrored of it any more.
const CUT_OVER: &str = "catchword-cutover";

/// Whose bookmark it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

impl Place {
    /// The path of its node; `None` for names that ZooKeeper cannot have in a path.
    pub fn node(&self) -> Option<String> {
        let Place {
            group,
            topic,
            partition,
        } = self;
        (is_name(group) && is_name(topic))
            .then(|| format!("{ROOT}/{group}/offsets/{topic}/{partition}"))
    }

    /// About how many bytes its node's path has.
    pub(crate) fn node_len(&self) -> usize {
        // ROOT, "offsets", the number and what separates them.
        self.group.len() + self.topic.len() + 32
    }

    /// Whose node it is; `None` for other nodes, also for the `BROKER-PARTITION` names of Kafka 0.7.
    pub fn of_node(path: &str) -> Option<Place> {
        let mut names = path.strip_prefix(ROOT)?.strip_prefix('/')?.split('/');
        let (group, offsets) = (names.next()?, names.next()?);
        let (topic, partition) = (names.next()?, names.next()?);
        // Kafka writes no sign and no zeros in front; "+1" and "01" are other nodes than "1".
        let number: i32 = partition.parse().ok().filter(|n| *n >= 0)?;
        let is_one = offsets == "offsets" && names.next().is_none();
        (is_one && number.to_string() == partition).then(|| Place {
            group: group.to_owned(),
            topic: topic.to_owned(),
            partition: number,
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.group, self.topic, self.partition)
    }
}

/// The node that marks a group as moved.
pub fn cut_over(group: &str) -> Option<String> {
    is_name(group).then(|| format!("{ROOT}/{group}/{CUT_OVER}"))
}

/// The group that a marker is of.
pub fn cut_over_group(path: &str) -> Option<&str> {
    let (group, node) = path
        .strip_prefix(ROOT)?
        .strip_prefix('/')?
        .split_once('/')?;
    (node == CUT_OVER).then_some(group)
}

/// The offset in a node; `None` if it is not one.
pub fn offset(data: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(data).ok()?;
    text.trim().parse().ok().filter(|offset| *offset >= 0)
}

/// Whether ZooKeeper takes it as one name of a path.
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
        && text.chars().all(|c| {
            c != '/'
                && !c.is_control()
                && !matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(group: &str, topic: &str, partition: i32) -> Place {
        Place {
            group: group.into(),
            topic: topic.into(),
            partition,
        }
    }

    #[test]
    fn a_bookmark_has_the_node_of_old_kafka() {
        let one = place("billing", "orders", 3);
        assert_eq!(
            one.node().as_deref(),
            Some("/consumers/billing/offsets/orders/3")
        );
        assert_eq!(Place::of_node(&one.node().unwrap()), Some(one));
    }

    #[test]
    fn names_that_no_path_can_have_have_no_node() {
        for group in ["", ".", "..", "a/b", "a\0b"] {
            assert_eq!(place(group, "t", 0).node(), None, "{group:?}");
            assert_eq!(cut_over(group), None, "{group:?}");
        }
    }

    #[test]
    fn other_nodes_are_no_bookmarks() {
        for path in [
            "/consumers",
            "/consumers/g/owners/t/0",
            "/consumers/g/offsets/t",
            "/consumers/g/offsets/t/0/x",
            "/consumers/g/offsets/t/1-0",
            "/consumers/g/offsets/t/01",
            "/consumers/g/offsets/t/-1",
            "/brokers/ids/0",
        ] {
            assert_eq!(Place::of_node(path), None, "{path}");
        }
        assert_eq!(cut_over_group("/consumers/g/catchword-cutover"), Some("g"));
        assert_eq!(cut_over_group("/consumers/g/offsets"), None);
    }

    #[test]
    fn an_offset_is_decimal_text_and_nothing_else() {
        assert_eq!(offset(b"286894308"), Some(286_894_308));
        assert_eq!(offset(b"12\n"), Some(12));
        for data in [&b""[..], b"-1", b"x", b"{\"offset\":1}", b"\xff"] {
            assert_eq!(offset(data), None, "{data:?}");
        }
    }
}
