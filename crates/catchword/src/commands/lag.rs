//! `catchword lag`: how far groups are behind, for how long, how fast they read, and when they will have read all.

use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, Instant};

use catchword_client::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::Cluster;
use crate::commands::distance::PartitionLag;
use crate::commands::{groups, show};
use crate::failure::Failure;
use crate::http::encoded;
use crate::interrupt::Interrupt;
use crate::plane::{self, Api, span, when};
use crate::table::{Align, Table, bytes, count, records};
use crate::time;
use crate::ui::Ui;

/// How often `--watch` looks where nobody says.
const EVERY: &str = "2";
/// How long a wait is before the user's interrupt is looked for.
const NAP: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
BEHIND   records that the group will still be given; LOST: offsets that retention took before
OLDEST   how long the oldest of them has waited; UNREAD: their bytes, as they are stored
SPEED    offsets a second that the group reads on by, over the last minute: known from the second
         look on, so with --watch, or where somebody else (a Prometheus) looks regularly
ALL READ IN  at this pace; blank unless the group gains on the writers
OBJECTIVE  whether the group is as close as it should be: see catchword slo
KEPT FOR how long the oldest unread record is kept at least: then retention may take it

Where the broker does not count (an Apache Kafka without a guardian), BEHIND is the distance between
offsets, markers of transactions and what was compacted away included.

JSON: {at_ms, counted, groups: [{group, state, kind, lag, age_ms, bytes, lost, speed, to_zero_ms,
  retention_in_ms, objective, partitions: [{topic, partition, committed, start, end, lag, unsure, age_ms,
    bytes, lost, speed, to_zero_ms, retention_in_ms}]}]}; null is not known, or not so; partitions
  for a named GROUP only; with --watch a document a line.

Examples:
  catchword lag
  catchword lag billing --watch
  catchword lag --watch 10 --json | jq -c '.groups[] | select(.age_ms > 60000) | .group'")]
pub(crate) struct Args {
    /// The group; all of them without it.
    group: Option<String>,
    /// Look again and again, each so many seconds (2), until Ctrl-C.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = EVERY,
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    watch: Option<u32>,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// What is told of groups, by `/v1/lag`, or made up from Kafka's protocol. The field names are for scripts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lags {
    pub(super) at_ms: i64,
    /// Whether records were counted, not offsets.
    counted: bool,
    pub(super) groups: Vec<GroupLag>,
}

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GroupLag {
    pub(super) group: String,
    pub(super) state: String,
    pub(super) kind: Option<String>,
    #[serde(flatten)]
    pub(super) lag: Lag,
    /// What it is held to.
    #[serde(default)]
    pub(super) objective: Option<Objective>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) partitions: Option<Vec<PartitionPace>>,
}

/// A lag objective, and whether it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Objective {
    pub(super) age_ms: Option<i64>,
    pub(super) records: Option<i64>,
    pub(super) status: String,
    pub(super) why: Option<String>,
    pub(super) since_ms: i64,
    pub(super) partition: Option<Place>,
}

/// The partition that a status is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
}

impl Objective {
    /// `STOP (gone)`.
    pub(super) fn words(&self) -> String {
        match &self.why {
            Some(why) => format!("{} ({})", self.status, why.replace('-', " ")),
            None => self.status.clone(),
        }
    }
}

/// What is alike in groups and partitions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Lag {
    pub(super) lag: Option<i64>,
    pub(super) age_ms: Option<i64>,
    pub(super) bytes: Option<i64>,
    pub(super) lost: i64,
    pub(super) speed: Option<f64>,
    pub(super) to_zero_ms: Option<i64>,
    pub(super) retention_in_ms: Option<i64>,
}

/// A group in one partition.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PartitionPace {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) committed: Option<i64>,
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    #[serde(default)]
    unsure: i64,
    #[serde(flatten)]
    pub(super) lag: Lag,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let api = match Api::find(&mut client) {
        Ok(api) => Some(api),
        Err(why) => {
            ui.note(format_args!(
                "BEHIND is the distance between offsets, markers and what was compacted away included, and no times are known, since records are not counted here: {why}"
            ));
            None
        }
    };
    let interrupt = args.watch.map(|_| Interrupt::watch());
    let clears = !args.json && args.watch.is_some() && std::io::stdout().is_terminal();
    loop {
        let began = Instant::now();
        let lags = match &api {
            Some(api) => ask(api, args.group.as_deref())?,
            None => by_offsets(&mut client, args.group.as_deref(), ui)?,
        };
        if clears {
            ui.bytes(b"\x1b[H\x1b[2J")?;
        }
        match (args.json, args.watch) {
            (true, Some(_)) => ui.json_line(&lags)?,
            (true, None) => ui.json(&lags)?,
            (false, watch) => {
                if watch.is_some() {
                    ui.line(when(lags.at_ms))?;
                }
                print(&lags, args.group.is_some(), ui)?;
                if watch.is_some() && !clears {
                    ui.line("")?;
                }
            }
        }
        ui.flush()?;
        let (Some(seconds), Some(interrupt)) = (args.watch, &interrupt) else {
            return Ok(());
        };
        while began.elapsed() < Duration::from_secs(seconds.into()) {
            if interrupt.is_set() {
                return Ok(());
            }
            thread::sleep(NAP);
        }
    }
}

/// Asks the broker: of one group with its partitions, or of all without.
pub(super) fn ask(api: &Api, group: Option<&str>) -> Result<Lags, Failure> {
    let path = match group {
        Some(group) => format!("/v1/lag?group={}", encoded(group)),
        None => "/v1/lag?partitions=false".to_owned(),
    };
    let document: Value = api.get(&path)?;
    plane::read(&document)
}

/// What Kafka's protocol tells: the distance between offsets.
fn by_offsets(client: &mut Client, group: Option<&str>, ui: &mut Ui) -> Result<Lags, Failure> {
    let groups = match group {
        Some(group) => {
            let shown = show::look(client, group)?;
            let partitions = shown.partitions.iter().map(PartitionPace::by_offsets);
            let partitions = Some(partitions.collect());
            vec![GroupLag::by_offsets(
                group,
                shown.state,
                shown.lag,
                shown.lost,
                partitions,
            )]
        }
        None => {
            let rows = groups::look(client, ui)?.into_iter();
            let of = |row: groups::Row| {
                let state = row.state.unwrap_or_default();
                GroupLag::by_offsets(&row.group, state, row.lag, row.lost, None)
            };
            rows.map(of).collect()
        }
    };
    Ok(Lags {
        at_ms: time::now_ms(),
        counted: false,
        groups,
    })
}

impl GroupLag {
    fn by_offsets(
        group: &str,
        state: String,
        lag: i64,
        lost: i64,
        partitions: Option<Vec<PartitionPace>>,
    ) -> Self {
        Self {
            group: group.to_owned(),
            state,
            kind: None,
            lag: Lag {
                lag: Some(lag),
                lost,
                ..Lag::default()
            },
            objective: None,
            partitions,
        }
    }
}

impl PartitionPace {
    fn by_offsets(found: &PartitionLag) -> Self {
        Self {
            topic: found.topic.clone(),
            partition: found.partition,
            committed: found.committed,
            start: found.log_start,
            end: found.end,
            unsure: found.lag.unwrap_or(0),
            lag: Lag {
                lag: found.lag,
                lost: found.lost,
                ..Lag::default()
            },
        }
    }
}

fn print(lags: &Lags, is_one: bool, ui: &mut Ui) -> Result<(), Failure> {
    if lags.groups.is_empty() {
        return ui.line("There is no group yet; `catchword consume TOPIC --group NAME` makes one.");
    }
    if !is_one {
        return ui.table(&groups_table(&lags.groups));
    }
    for group in &lags.groups {
        let title = ui.bold(&format!("Group {}", group.group));
        ui.line(format_args!("{title}  {}", summary(group)))?;
        let partitions = group.partitions.as_deref().unwrap_or_default();
        if !partitions.is_empty() {
            ui.line("")?;
            ui.table(&partitions_table(partitions))?;
        }
    }
    Ok(())
}

/// A group in one line.
pub(super) fn summary(group: &GroupLag) -> String {
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
pub(super) fn pace(speed: f64) -> String {
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

fn groups_table(groups: &[GroupLag]) -> Table {
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
pub(super) fn partitions_table(partitions: &[PartitionPace]) -> Table {
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
