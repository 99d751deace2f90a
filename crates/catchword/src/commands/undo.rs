//! `catchword undo` and `catchword restore`: take a change back, bring back what is gone.
//!
//! Invariant: nothing is changed without `--yes`; the broker does all of it or nothing.

use serde::Deserialize;
use serde_json::Value;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{Api, Change, changes, place, read, when};
use crate::table::{Align, Table, count};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without an ID the last changes of all groups are listed. With one, but without --yes, nothing is
changed: the table shows where the group is and where it would be. A change is taken back whole or
not at all, and the undo is itself a change that can be undone. What was committed since is not
overwritten unless told --force; a topic that was created anew never gets places of the old one.

JSON: {group, applied, change, undoes, partitions: [{topic, partition, now, then, moves, obstacle}]};
without an ID {changes: [...]} as of `catchword log`.

Examples:
  catchword undo
  catchword undo 17-4811
  catchword undo 17-4811 --yes")]
pub(crate) struct Args {
    /// The change, as the list and `catchword log` name it.
    #[arg(value_name = "ID")]
    id: Option<String>,
    /// Do it.
    #[arg(long, short)]
    yes: bool,
    /// Also where somebody has committed since.
    #[arg(long)]
    force: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Deleted and expired offsets can be put back for 30 days (offsets.trash.retention.ms). Without --yes
nothing is changed.

JSON: as of `catchword undo ID`.

Examples:
  catchword trash
  catchword restore billing
  catchword restore billing --yes")]
pub(crate) struct RestoreArgs {
    /// The group.
    group: String,
    /// Do it.
    #[arg(long, short)]
    yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// Longer tables nobody reads.
const MAX_ROWS: usize = 50;

#[derive(Debug, Deserialize)]
struct Done {
    group: String,
    applied: bool,
    change: Option<String>,
    undoes: Option<Change>,
    partitions: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Step {
    topic: String,
    partition: i32,
    now: Option<i64>,
    then: Option<i64>,
    moves: bool,
    obstacle: Option<String>,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let Some(id) = &args.id else {
        return list(&api.get("/v1/changes?limit=20")?, args.json, ui);
    };
    let path = format!("/v1/changes/{}/undo", encoded(id));
    carry_out(&api, &path, args.yes, args.force, args.json, ui)
}

pub(crate) fn restore(args: &RestoreArgs, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let path = format!("/v1/groups/{}/restore", encoded(&args.group));
    carry_out(&api, &path, args.yes, false, args.json, ui)
}

fn list(document: &Value, json: bool, ui: &mut Ui) -> Result<(), Failure> {
    if json {
        return ui.json(document);
    }
    let changes = changes(document)?;
    if changes.is_empty() {
        ui.note("Nobody has meddled with any group: all have only read on.");
        return Ok(());
    }
    let mut table = Table::new(&[
        ("CHANGE", Align::Left),
        ("WHEN", Align::Left),
        ("GROUP", Align::Left),
        ("WHAT", Align::Left),
        ("PLACES", Align::Left),
        ("BY", Align::Left),
    ]);
    for c in changes {
        let cells = [
            c.id.clone(),
            when(c.at_ms),
            c.group.clone(),
            c.what(),
            c.summary(),
            c.by.words(),
        ];
        table.row(cells.into());
    }
    ui.table(&table)?;
    ui.note("\n`catchword undo CHANGE` shows what taking one back would do.");
    Ok(())
}

fn carry_out(
    api: &Api,
    path: &str,
    yes: bool,
    force: bool,
    json: bool,
    ui: &mut Ui,
) -> Result<(), Failure> {
    // Shown even if it is refused then: the table says where it cannot be done.
    let preview = api.post(path, false, force)?;
    let applied = if yes {
        Some(api.post(path, true, force))
    } else {
        None
    };
    if json {
        return match applied {
            Some(applied) => ui.json(&applied?),
            None => ui.json(&preview),
        };
    }
    let done: Done = read(&preview)?;
    if let Some(change) = &done.undoes {
        let (what, by) = (change.what(), change.by.words());
        let at = when(change.at_ms).replacen("  ", ", ", 1);
        ui.line(format_args!(
            "Change {} to group {:?}: {what}, {at}, by {by}.",
            change.id, done.group
        ))?;
    } else {
        ui.line(format_args!("What group {:?} has lost:", done.group))?;
    }
    ui.table(&table(&done.partitions))?;
    if let Some(more) = done
        .partitions
        .len()
        .checked_sub(MAX_ROWS)
        .filter(|n| *n > 0)
    {
        ui.line(format_args!(
            "… and {} more (--json has all)",
            count(more as i64)
        ))?;
    }
    let written = done.partitions.iter().filter(|step| step.moves).count();
    match applied {
        Some(applied) => {
            let applied: Done = read(&applied?)?;
            debug_assert!(applied.applied);
            let places = match written {
                1 => "1 committed offset is".into(),
                n => format!("{} committed offsets are", count(n as i64)),
            };
            ui.line(ui.green(&format!("Done: {places} back.")))?;
            if let Some(change) = applied.change {
                ui.note(format_args!(
                    "To take this back: catchword undo {change} --yes"
                ));
            }
        }
        None => {
            let moved_on = done
                .partitions
                .iter()
                .any(|s| s.obstacle.as_deref() == Some("moved-on"));
            if moved_on && !force {
                ui.warn("Somebody has committed since; --force overwrites that, and can itself be undone.");
            } else if written == 0 {
                ui.warn("Nothing of this can be put back.");
            } else {
                ui.note("Nothing was changed; --yes does it.");
            }
        }
    }
    Ok(())
}

fn table(steps: &[Step]) -> Table {
    let mut table = Table::new(&[
        ("PARTITION", Align::Left),
        ("NOW", Align::Right),
        ("THEN", Align::Right),
        ("EFFECT", Align::Left),
    ]);
    for step in steps.iter().take(MAX_ROWS) {
        let remark = match step.obstacle.as_deref() {
            Some("moved-on") if step.moves => " (overwrites what was committed since)",
            Some("moved-on") => "not moved: committed since",
            Some("topic-recreated") => "not moved: the topic was deleted and created again",
            Some("no-topic") => "not moved: the topic is gone",
            Some("forgotten") => "not moved: nobody knows any more where it was",
            _ => "",
        };
        let effect = match (step.moves, step.now, step.then) {
            (false, ..) if remark.is_empty() => "there already".into(),
            (false, ..) => remark.into(),
            (true, Some(now), Some(then)) if then < now => {
                format!("{} back{remark}", count(now - then))
            }
            (true, Some(now), Some(then)) => format!("{} on{remark}", count(then - now)),
            (true, None, _) => format!("put back{remark}"),
            (true, Some(_), None) => format!("removed, as before{remark}"),
        };
        let name = format!("{}:{}", step.topic, step.partition);
        table.row(vec![name, place(step.now), place(step.then), effect]);
    }
    table
}
