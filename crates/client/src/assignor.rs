//! Kafka's range assignor: each topic's partitions in order, in runs of equal length, to the members in order.

use std::collections::BTreeMap;

use crate::types::TopicPartition;

/// Assigns every partition of the topics to one of the members that subscribe to it. Members are `(id, topics)`; the
/// result has an entry for each of them.
pub fn range_assign(
    members: &[(String, Vec<String>)],
    partitions: &BTreeMap<String, i32>,
) -> BTreeMap<String, Vec<TopicPartition>> {
    let mut assignment: BTreeMap<String, Vec<TopicPartition>> = members
        .iter()
        .map(|(id, _)| (id.clone(), Vec::new()))
        .collect();
    for (topic, count) in partitions {
        let mut subscribers: Vec<&String> = members
            .iter()
            .filter(|(_, topics)| topics.contains(topic))
            .map(|(id, _)| id)
            .collect();
        subscribers.sort();
        let Ok(members) = i32::try_from(subscribers.len()) else {
            continue;
        };
        let mut next = 0;
        for (at, id) in (0..).zip(subscribers) {
            let share = count / members + i32::from(at < count % members);
            let run = (next..next + share).map(|partition| TopicPartition::new(topic, partition));
            assignment.entry(id.clone()).or_default().extend(run);
            next += share;
        }
    }
    assignment
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(members: &[(&str, &[&str])], topics: &[(&str, i32)]) -> Vec<String> {
        let members: Vec<_> = members
            .iter()
            .map(|(id, topics)| {
                (
                    (*id).to_owned(),
                    topics.iter().map(|t| (*t).to_owned()).collect(),
                )
            })
            .collect();
        let topics = topics
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        let assigned = range_assign(&members, &topics);
        let line = |(id, partitions): (String, Vec<TopicPartition>)| {
            let partitions: Vec<_> = partitions.iter().map(ToString::to_string).collect();
            format!("{id}: {}", partitions.join(" "))
        };
        assigned.into_iter().map(line).collect()
    }

    #[test]
    fn the_first_members_get_what_does_not_come_out_even() {
        let got = assign(&[("b", &["t"]), ("a", &["t"])], &[("t", 3)]);
        assert_eq!(got, ["a: t:0 t:1", "b: t:2"]);
    }

    #[test]
    fn a_member_gets_only_what_it_subscribes_to() {
        let got = assign(&[("a", &["t"]), ("b", &["t", "u"])], &[("t", 2), ("u", 2)]);
        assert_eq!(got, ["a: t:0", "b: t:1 u:0 u:1"]);
    }

    #[test]
    fn more_members_than_partitions_leaves_some_without() {
        let got = assign(&[("a", &["t"]), ("b", &["t"]), ("c", &["t"])], &[("t", 2)]);
        assert_eq!(got, ["a: t:0", "b: t:1", "c: "]);
    }

    #[test]
    fn a_topic_nobody_reads_is_given_to_nobody() {
        assert_eq!(assign(&[("a", &["t"])], &[("t", 1), ("u", 5)]), ["a: t:0"]);
    }
}
