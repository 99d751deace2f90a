//! `catchword at`: where a group was at a past time.

use serde::Deserialize;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::place::Place;
use crate::plane::{Api, place, read};
use crate::table::{Align, Table, count};
use crate::time;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Times need their zone: 2026-11-23T13:30+01:00, 2026-11-23T12:30Z, \"yesterday 14:00Z\", \"2h ago\".

JSON: {group, time_ms, exact_to, known_since_ms, partitions: [{topic, partition, then, now}]};
exact_to is move, minute or hour: how finely that time is remembered.

Examples:
  catchword at billing \"2h ago\"
  catchword at billing 2026-11-23T13:30+01:00 --json")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// The time.
    #[arg(value_name = "TIME", value_parser = moment)]
    time_ms: i64,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct GroupAt {
    time_ms: i64,
    exact_to: String,
    known_since_ms: Option<i64>,
    partitions: Vec<PartitionAt>,
}

#[derive(Debug, Deserialize)]
struct PartitionAt {
    topic: String,
    partition: i32,
    then: i64,
    now: Option<i64>,
}

/// A place in a log that is a time.
fn moment(text: &str) -> Result<i64, String> {
    match text.parse::<Place>() {
        Ok(Place::Time(ms)) => Ok(ms),
        // What is nearly a time is told what it lacks.
        Err(why) if time::is_meant(text) => Err(why),
        _ => Err(format!(
            "{text:?} is no time; write 2026-11-23T13:30+01:00, 2026-11-23T12:30Z, \"yesterday 14:00Z\" or \"2h ago\""
        )),
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let group = encoded(&args.group);
    let document = api.get(&format!("/v1/groups/{group}/at?time_ms={}", args.time_ms))?;
    if args.json {
        return ui.json(&document);
    }
    let at: GroupAt = read(&document)?;
    let when = time::format(at.time_ms);
    if at.partitions.is_empty() {
        let since = at.known_since_ms.map(time::format).unwrap_or_default();
        ui.note(format_args!(
            "At {when} nothing was committed that is still known; what is known of group {:?} begins at {since}.",
            args.group
        ));
        return Ok(());
    }
    let mut table = Table::new(&[
        ("PARTITION", Align::Left),
        ("THEN", Align::Right),
        ("NOW", Align::Right),
        ("SINCE", Align::Left),
    ]);
    for p in &at.partitions {
        let since = match p.now.map(|now| now - p.then) {
            None => "removed".into(),
            Some(0) => String::new(),
            Some(by) if by < 0 => format!("{} back", count(-by)),
            Some(by) => format!("{} on", count(by)),
        };
        let name = format!("{}:{}", p.topic, p.partition);
        table.row(vec![name, count(p.then), place(p.now), since]);
    }
    ui.table(&table)?;
    let exact = match at.exact_to.as_str() {
        "minute" => "As of the last commit of each minute before ",
        "hour" => "As of the last commit of each hour before ",
        _ => "Exactly as of ",
    };
    ui.note(format_args!("{exact}{when}."));
    Ok(())
}
