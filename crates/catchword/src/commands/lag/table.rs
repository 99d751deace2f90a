//! Groups' lag, for people.

use super::told::{GroupLag, Lag, Objective, PartitionPace};
use crate::plane::span;
use crate::table::{Align, Table, bytes, count, records};

/// A group in one line.
pub(in crate::commands) fn summary(group: &GroupLag) -> String {
    let lag = &group.lag;
    let mut facts = vec![group.state.clone()];
    let oldest = lag
        .age_ms
        .map_or_else(String::new, |ms| format!(", the oldest for {}", span(ms)));
    facts.push(format!("{} behind{oldest}", records(lag.lag.unwrap_or(0))));
    facts.extend(group.objective.as_ref().map(Objective::words));
    facts.extend(lag.bytes.filter(|n| *n > 0).map(bytes));
    facts.extend(lag.speed.map(|speed| format!("reads {}", pace(speed))));
    facts.extend(lag.to_zero_ms.map(|ms| format!("all read in {}", span(ms))));
    facts.extend(lag.retention_in_ms.map(kept));
    if let Some(uncommitted) = lag.uncommitted.filter(|n| *n > 0) {
        facts.push(format!(
            "{} fetched and not committed",
            records(uncommitted)
        ));
    }
    if lag.lost > 0 {
        facts.push(format!("{} lost to retention", records(lag.lost)));
    }
    facts.join(" · ")
}

fn kept(ms: i64) -> String {
    match ms {
        0 => "retention may take the oldest at any moment".to_owned(),
        ms => format!("the oldest kept for {}", span(ms)),
    }
}

/// `120/s`.
pub(in crate::commands) fn pace(speed: f64) -> String {
    match speed {
        0.0..10.0 => format!("{speed:.1}/s"),
        _ => format!("{}/s", count(speed as i64)),
    }
}

const COLUMNS: [(&str, Align); 7] = [
    ("BEHIND", Align::Right),
    ("OLDEST", Align::Right),
    ("UNREAD", Align::Right),
    ("SPEED", Align::Right),
    ("ALL READ IN", Align::Right),
    ("KEPT FOR", Align::Right),
    ("LOST", Align::Right),
];

/// The cells of [`COLUMNS`].
fn cells(lag: &Lag) -> Vec<String> {
    let told = |text: Option<String>| text.unwrap_or_default();
    vec![
        lag.lag.map_or_else(|| "-".into(), count),
        told(lag.age_ms.map(span)),
        told(lag.bytes.filter(|n| *n > 0).map(bytes)),
        told(lag.speed.map(pace)),
        told(lag.to_zero_ms.map(span)),
        told(lag.retention_in_ms.map(span)),
        told((lag.lost > 0).then(|| count(lag.lost))),
    ]
}

pub(super) fn groups_table(groups: &[GroupLag]) -> Table {
    let any_objective = groups.iter().any(|group| group.objective.is_some());
    let mut head = vec![("GROUP", Align::Left), ("STATE", Align::Left)];
    if any_objective {
        head.push(("OBJECTIVE", Align::Left));
    }
    head.extend(COLUMNS);
    let mut table = Table::new(&head);
    for group in groups {
        let mut row = vec![group.group.clone(), group.state.clone()];
        if any_objective {
            row.push(
                group
                    .objective
                    .as_ref()
                    .map_or_else(String::new, Objective::words),
            );
        }
        row.extend(cells(&group.lag));
        table.row(row);
    }
    table
}

/// A group's partitions, a line each.
pub(in crate::commands) fn partitions_table(partitions: &[PartitionPace]) -> Table {
    let mut head = vec![
        ("PARTITION", Align::Left),
        ("COMMITTED", Align::Right),
        ("END", Align::Right),
    ];
    head.extend(COLUMNS);
    let mut table = Table::new(&head);
    for one in partitions {
        let offset = |offset: Option<i64>| offset.map_or_else(|| "-".into(), count);
        let mut row = vec![
            format!("{}:{}", one.topic, one.partition),
            offset(one.committed),
            offset(one.end),
        ];
        row.extend(cells(&one.lag));
        table.row(row);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::lag::Lags;

    fn told() -> Lags {
        serde_json::from_str(
            r#"{"at_ms": 5, "counted": true, "groups": [{"group": "search", "state": "Stable", "kind": "classic",
                "lag": 41204, "age_ms": 130000, "bytes": 5242880, "lost": 0, "speed": 310.4,
                "to_zero_ms": 240000, "retention_in_ms": 590400000, "partitions": [{"topic": "t",
                "partition": 0, "committed": 1204551, "start": 0, "end": 1245755, "lag": 41204,
                "unsure": 0, "age_ms": 130000, "bytes": 5242880, "lost": 0, "speed": 310.4,
                "to_zero_ms": 240000, "retention_in_ms": null}]}, {"group": "weekly", "state":
                "Empty", "kind": "classic", "lag": 0, "age_ms": null, "bytes": 0, "lost": 12,
                "speed": null, "to_zero_ms": null, "retention_in_ms": null}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn groups_read_like_this() {
        let expected = [
            "GROUP   STATE   BEHIND  OLDEST   UNREAD  SPEED  ALL READ IN  KEPT FOR  LOST",
            "search  Stable  41,204   2 min  5.0 MiB  310/s        4 min       6 d",
            "weekly  Empty        0                                                   12",
        ];
        assert_eq!(groups_table(&told().groups).lines(), expected);
    }

    #[test]
    fn a_group_reads_like_this() {
        let group = &told().groups[0];
        assert_eq!(
            summary(group),
            "Stable · 41,204 records behind, the oldest for 2 min · 5.0 MiB · reads 310/s · all read in 4 min · the oldest kept for 6 d"
        );
        let lines = partitions_table(group.partitions.as_ref().unwrap()).lines();
        let expected = [
            "PARTITION  COMMITTED        END  BEHIND  OLDEST   UNREAD  SPEED  ALL READ IN  KEPT FOR  LOST",
            "t:0        1,204,551  1,245,755  41,204   2 min  5.0 MiB  310/s        4 min",
        ];
        assert_eq!(lines, expected);
    }
}
