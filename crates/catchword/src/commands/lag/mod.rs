//! `catchword lag`: how far groups are behind, for how long, how fast they read, and when they will have read all.

mod table;
mod told;

use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, Instant};

use catchword_client::Client;
use serde_json::Value;

pub(super) use table::{pace, partitions_table, summary};
pub(super) use told::{GroupLag, Lags, PartitionPace, Place};

use crate::args::Cluster;
use crate::commands::{groups, show};
use crate::failure::Failure;
use crate::http::encoded;
use crate::interrupt::Interrupt;
use crate::plane::{self, Api, when};
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
  retention_in_ms, objective, awaited, partitions: [{topic, partition, committed, start, end, lag, unsure, age_ms,
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

fn print(lags: &Lags, is_one: bool, ui: &mut Ui) -> Result<(), Failure> {
    if lags.groups.is_empty() {
        return ui.line("There is no group yet; `catchword consume TOPIC --group NAME` makes one.");
    }
    if !is_one {
        return ui.table(&table::groups_table(&lags.groups));
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
