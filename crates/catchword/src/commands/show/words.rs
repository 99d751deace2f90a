//! What `catchword show` says, in words and tables.

use std::collections::BTreeMap;

use super::Shown;
use crate::commands::distance::PartitionLag;
use crate::failure::Failure;
use crate::plane::span;
use crate::table::{Align, Table, count, records};
use crate::time;
use crate::ui::Ui;

pub(super) fn print(shown: &Shown, ui: &mut Ui) -> Result<(), Failure> {
    let mut facts = vec![shown.state.clone()];
    facts.extend(shown.kind.as_ref().map(|kind| kind.to_lowercase()));
    facts.extend(
        shown
            .protocol
            .as_ref()
            .map(|protocol| format!("assignor {protocol}")),
    );
    facts.push(match shown.members.len() {
        0 if shown.state != "Empty" => "members not known".into(),
        1 => "1 member".into(),
        n => format!("{n} members"),
    });
    let oldest_ms = shown.partitions.iter().filter_map(|lag| lag.age_ms).max();
    let oldest = oldest_ms.map_or_else(String::new, |ms| format!(", the oldest for {}", span(ms)));
    facts.push(format!("{} behind{oldest}", records(shown.lag)));
    let kept = shown.kept.words();
    facts.extend(Some(kept).filter(|words| !words.is_empty()));
    let title = ui.bold(&format!("Group {}", shown.group));
    ui.line(format_args!("{title}  {}", facts.join(" · ")))?;
    if !shown.members.is_empty() {
        ui.line("")?;
        print_members(shown, ui)?;
    }
    if !shown.awaited.is_empty() {
        ui.line("")?;
        print_awaited(shown, ui)?;
    }
    if !shown.partitions.is_empty() {
        ui.line("")?;
        ui.table(&partitions_table(&shown.partitions))?;
    }
    for lag in shown.partitions.iter().filter(|lag| lag.is_beyond_end()) {
        let (committed, end) = (
            lag.committed.unwrap_or_default(),
            lag.end.unwrap_or_default(),
        );
        ui.warn(format_args!(
            "{}:{} is committed at {committed}, past the log's end at {end}: the next reader starts where its own policy says",
            lag.topic, lag.partition
        ));
    }
    let held: u64 = shown.partitions.iter().map(|lag| lag.held_bytes).sum();
    if held > 0 {
        ui.warn(format_args!(
            "{held} bytes of its topics are past their time and kept for this group; `catchword hold {} off` lets them go",
            shown.group
        ));
    }
    if let Some(words) = at_risk(&shown.partitions) {
        ui.line("")?;
        ui.line(words)?;
    }
    if shown.kept.expires_soon {
        ui.warn(format_args!(
            "committed offsets expire soon unless somebody reads; `catchword keep {} never` keeps them",
            shown.group
        ));
    }
    if shown.lost > 0 {
        ui.warn(format_args!(
            "{} were deleted by retention before the group read them",
            records(shown.lost)
        ));
    }
    Ok(())
}

/// Whom a rebalance waits for, and how to go on without.
fn print_awaited(shown: &Shown, ui: &mut Ui) -> Result<(), Failure> {
    let now_ms = time::now_ms();
    for awaited in &shown.awaited {
        ui.line(format_args!("waits for {}", awaited.words(now_ms)))?;
    }
    if let [first, ..] = &shown.awaited[..] {
        ui.note(format_args!(
            "To go on without: catchword kick {} {} --yes",
            shown.group, first.member_id
        ));
    }
    Ok(())
}

fn print_members(shown: &Shown, ui: &mut Ui) -> Result<(), Failure> {
    let mut table = Table::new(&[
        ("MEMBER", Align::Left),
        ("CLIENT", Align::Left),
        ("HOST", Align::Left),
        ("PARTITIONS", Align::Left),
    ]);
    for member in &shown.members {
        let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for place in &member.partitions {
            topics
                .entry(&place.topic)
                .or_default()
                .push(place.partition.to_string());
        }
        let places = topics
            .iter()
            .map(|(topic, numbers)| format!("{topic}:{}", numbers.join(",")));
        table.row(vec![
            member.member_id.clone(),
            member.client_id.clone(),
            member.host.clone(),
            places.collect::<Vec<_>>().join(" "),
        ]);
    }
    ui.table(&table)
}

/// What was handed to members and is not committed, in words.
fn at_risk(partitions: &[PartitionLag]) -> Option<String> {
    let risky = |lag: &&PartitionLag| lag.uncommitted.is_some_and(|n| n > 0);
    let risky: Vec<&PartitionLag> = partitions.iter().filter(risky).collect();
    let sum: i64 = risky.iter().filter_map(|lag| lag.uncommitted).sum();
    let words = match risky[..] {
        [] => return None,
        [one] => format!(
            "{}:{} was fetched to {}, committed to {}: up to {} would come again after a crash",
            one.topic,
            one.partition,
            one.fetched.map_or_else(|| "-".into(), count),
            one.committed.map_or_else(|| "-".into(), count),
            records(sum)
        ),
        _ => format!(
            "{} partitions were fetched further than is committed: up to {} would come again after a crash",
            risky.len(),
            records(sum)
        ),
    };
    Some(words)
}

/// The table of a group's places, line by line.
pub(in crate::commands) fn partition_lines(partitions: &[PartitionLag]) -> Vec<String> {
    partitions_table(partitions).lines()
}

fn partitions_table(partitions: &[PartitionLag]) -> Table {
    let any_lost = partitions.iter().any(|lag| lag.lost > 0);
    let any_fetched = partitions.iter().any(|lag| lag.fetched.is_some());
    let mut head = vec![
        ("PARTITION", Align::Left),
        ("LOG START", Align::Right),
        ("COMMITTED", Align::Right),
        ("END", Align::Right),
        ("BEHIND", Align::Right),
    ];
    if any_fetched {
        head.insert(3, ("FETCHED", Align::Right));
    }
    if any_lost {
        head.push(("LOST", Align::Right));
    }
    let mut table = Table::new(&head);
    for lag in partitions {
        let number = |n: Option<i64>| n.map_or("-".into(), count);
        let mut row = vec![
            format!("{}:{}", lag.topic, lag.partition),
            number(lag.log_start),
            number(lag.committed),
            number(lag.end),
            number(lag.lag),
        ];
        if any_fetched {
            row.insert(3, lag.fetched.map_or_else(String::new, count));
        }
        if any_lost {
            row.push(if lag.lost == 0 {
                String::new()
            } else {
                count(lag.lost)
            });
        }
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use catchword_client::{Committed, TopicPartition};

    use super::*;

    #[test]
    fn a_groups_places_read_like_this() {
        let lag = |partition, committed: Option<i64>, bounds| {
            let committed = committed.map(|offset| Committed {
                offset,
                leader_epoch: -1,
                metadata: String::new(),
            });
            PartitionLag::new(
                &TopicPartition::new("orders", partition),
                committed.as_ref(),
                bounds,
            )
        };
        let lags = [
            lag(0, Some(1_204_551), Some((1_000_000, 1_245_755))),
            lag(1, Some(2), Some((8, 10))),
            lag(2, None, Some((0, 7))),
            lag(3, Some(4), None),
        ];
        let expected = [
            "PARTITION  LOG START  COMMITTED        END  BEHIND  LOST",
            "orders:0   1,000,000  1,204,551  1,245,755  41,204",
            "orders:1           8          2         10       2     6",
            "orders:2           0          -          7       -",
            "orders:3           -          4          -       -",
        ];
        assert_eq!(partitions_table(&lags).lines(), expected);
        assert_eq!(at_risk(&lags), None);
    }

    #[test]
    fn what_was_fetched_and_not_committed_is_told_with_what_it_could_cost() {
        let committed = Committed {
            offset: 1000,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let lag = |partition, fetched: Option<i64>| PartitionLag {
            fetched,
            uncommitted: fetched.map(|fetched| fetched - 1000),
            ..PartitionLag::new(
                &TopicPartition::new("orders", partition),
                Some(&committed),
                Some((0, 2000)),
            )
        };
        let one = [lag(0, Some(1234)), lag(1, None), lag(2, Some(1000))];
        let expected = [
            "PARTITION  LOG START  COMMITTED  FETCHED    END  BEHIND",
            "orders:0           0      1,000    1,234  2,000   1,000",
            "orders:1           0      1,000           2,000   1,000",
            "orders:2           0      1,000    1,000  2,000   1,000",
        ];
        assert_eq!(partitions_table(&one).lines(), expected);
        assert_eq!(
            at_risk(&one).unwrap(),
            "orders:0 was fetched to 1,234, committed to 1,000: up to 234 records would come again after a crash"
        );
        let two = [lag(0, Some(1234)), lag(1, Some(1001))];
        assert_eq!(
            at_risk(&two).unwrap(),
            "2 partitions were fetched further than is committed: up to 235 records would come again after a crash"
        );
    }
}
