//! `catchword tag` and `catchword tags`: names for where a group is.

use serde::Deserialize;
use serde_json::json;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{Api, By, read, when};
use crate::table::{Align, Table, count};
use crate::time;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A tag holds all of a group's committed offsets as they are at this moment. It moves nothing, and stays
until it is removed, also when the group is deleted. Names begin with a letter and go on with letters,
digits, '.', '_' and '-'.

JSON: {group, tag, at_ms, by: {client_id, host, member_id, principal}, offsets}

Examples:
  catchword tag billing before-deploy
  catchword restore billing --at before-deploy
  catchword tag billing before-deploy --remove --yes")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// The tag's name.
    name: String,
    /// Have a tag that exists point at where the group is now.
    #[arg(long, conflicts_with = "remove")]
    force: bool,
    /// Remove the tag; only shows it unless told --yes.
    #[arg(long)]
    remove: bool,
    /// Do it: for --remove alone, since a tag changes nothing.
    #[arg(long, short)]
    yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nobody has to take snapshots: history keeps where a group was at the end of every hour in which it
moved, for offsets.history.hourly.ms (30 days), of each minute for a day, and every commit of the last
hour. --hours lists those hours; `restore` and `at` take any time.

JSON: {tags: [{group, tag, at_ms, by, offsets}], hours: [{time_ms, offsets}]}, the newest first

Examples:
  catchword tags billing
  catchword tags billing --hours
  catchword at billing \"yesterday 14:00+01:00\"
  catchword restore billing --at before-deploy")]
pub(crate) struct ListArgs {
    /// The group.
    group: String,
    /// The hours at whose end it is known where the group was, in place of its tags.
    #[arg(long)]
    hours: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct Tag {
    tag: String,
    at_ms: i64,
    by: By,
    offsets: i64,
}

#[derive(Debug, Deserialize)]
struct Hour {
    time_ms: i64,
    offsets: i64,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let (group, name) = (&args.group, &args.name);
    let path = format!("/v1/groups/{}/tags", encoded(group));
    let document = if args.remove {
        api.delete(&format!("{path}/{}", encoded(name)), args.yes)?
    } else {
        api.post(&path, &json!({"name": name, "force": args.force}))?
    };
    if args.json {
        return ui.json(&document);
    }
    let tag: Tag = read(&document)?;
    let offsets = match tag.offsets {
        1 => "1 committed offset".to_owned(),
        n => format!("{} committed offsets", count(n)),
    };
    let holds = format!(
        "tag {name:?} of group {group:?}: {offsets}, {}",
        when(tag.at_ms)
    );
    match (args.remove, args.yes) {
        (true, true) => {
            ui.line(ui.green(&format!("Removed: {holds}.")))?;
            ui.note("A tag that is gone does not come back; the group's history is as it was.");
        }
        (true, false) => {
            ui.line(holds)?;
            ui.note("Nothing was removed; --yes does it.");
        }
        (false, _) => {
            ui.line(ui.green(&format!("Done: {holds}.")))?;
            ui.note(format_args!(
                "To come back here: catchword restore {group} --at {name} --yes"
            ));
        }
    }
    Ok(())
}

pub(crate) fn list(args: &ListArgs, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let document = api.get(&format!("/v1/groups/{}/tags", encoded(&args.group)))?;
    if args.json {
        return ui.json(&document);
    }
    let hours: Vec<Hour> = read(&document["hours"])?;
    if args.hours {
        return list_hours(&args.group, &hours, ui);
    }
    list_tags(&args.group, read(&document["tags"])?, ui)?;
    if let Some(last) = hours.first() {
        ui.note(format_args!(
            "As good as tags: the ends of {} hours in which it moved, the last {}; `catchword tags {} --hours` lists them.",
            hours.len(),
            time::format(last.time_ms),
            args.group
        ));
    }
    Ok(())
}

fn list_tags(group: &str, tags: Vec<Tag>, ui: &mut Ui) -> Result<(), Failure> {
    if tags.is_empty() {
        ui.note(format_args!(
            "Group {group:?} has no tags; `catchword tag {group} NAME` makes one."
        ));
        return Ok(());
    }
    let mut table = Table::new(&[
        ("TAG", Align::Left),
        ("WHEN", Align::Left),
        ("OFFSETS", Align::Right),
        ("BY", Align::Left),
    ]);
    for tag in tags {
        let by = tag.by.words();
        table.row(vec![tag.tag, when(tag.at_ms), count(tag.offsets), by]);
    }
    ui.table(&table)?;
    ui.note(format_args!(
        "\n`catchword restore {group} --at TAG` shows what going back to one would do."
    ));
    Ok(())
}

fn list_hours(group: &str, hours: &[Hour], ui: &mut Ui) -> Result<(), Failure> {
    if hours.is_empty() {
        ui.note(format_args!(
            "Group {group:?} has moved in no hour that is over; `catchword log {group} --commits` shows what it did since."
        ));
        return Ok(());
    }
    let mut table = Table::new(&[("AT", Align::Left), ("OFFSETS", Align::Right)]);
    for hour in hours {
        table.row(vec![time::format(hour.time_ms), count(hour.offsets)]);
    }
    ui.table(&table)?;
    ui.note(format_args!(
        "\n`catchword restore {group} --at TIME` shows what going back to one would do; any time between will do as well."
    ));
    Ok(())
}
