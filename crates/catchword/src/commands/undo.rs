//! `catchword undo` and `catchword restore`: take a change back, bring back what is gone.
//!
//! Invariant: nothing is changed without `--yes`; the broker does all of it or nothing.

use catchword_client::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::Cluster;
use crate::commands::moves::{How, Step, of_steps, show};
use crate::failure::Failure;
use crate::http::encoded;
use crate::place::At;
use crate::plane::{Api, Change, changes, read, when};
use crate::table::{Align, Table, count};
use crate::time;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without an ID the last changes of all groups are listed, or those of one GROUP. With an ID, but
without --yes, nothing is changed: the table shows where the group is and where it would be. A
change is taken back whole or not at all, and the undo is itself a change that can be undone. What
was committed since is not overwritten unless told --force; a topic that was created anew never gets
places of the old one.

JSON: {group, applied, change, undoes, partitions: [{topic, partition, now, then, moves, obstacle}]};
without an ID {changes: [...]} as of `catchword log`.

Examples:
  catchword undo
  catchword undo billing
  catchword undo 17-4811
  catchword undo 17-4811 --yes")]
pub(crate) struct Args {
    /// The change, as the list and `catchword log` name it; or the group whose changes are listed.
    #[arg(value_name = "ID|GROUP")]
    which: Option<String>,
    /// Also where somebody has committed since.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Deleted and expired offsets can be put back for 30 days (offsets.trash.retention.ms). With --at the
whole group goes back to where it was at a tag (`catchword tags GROUP`) or at a time with its zone;
partitions of which nothing was known then stay where they are, and a topic that was created anew
never gets places of the old one. Without --yes nothing is changed.

JSON: as of `catchword undo ID`; with --at also to: {tag, time_ms, exact_to}.

Examples:
  catchword trash
  catchword restore billing --yes
  catchword restore billing --at before-deploy
  catchword restore billing --at \"yesterday 14:00+01:00\" --yes")]
pub(crate) struct RestoreArgs {
    /// The group.
    group: String,
    /// Where it was then: the name of a tag, or a time.
    #[arg(long, value_name = "TAG|TIME")]
    at: Option<At>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct Done {
    group: String,
    applied: bool,
    change: Option<String>,
    undoes: Option<Change>,
    to: Option<To>,
    partitions: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct To {
    tag: Option<String>,
    time_ms: i64,
    exact_to: String,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let api = Api::find(&mut client)?;
    let which = args.which.as_deref();
    let Some(id) = which.filter(|which| is_id(which)) else {
        let path = match which {
            None => "/v1/changes?limit=20".into(),
            Some(group) => format!("/v1/groups/{}/log?limit=20", encoded(group)),
        };
        list(which, &api.get(&path)?, args.how.json, ui)?;
        return match args.how.yes {
            false => Ok(()),
            true => Err(Failure::Usage(
                "nothing was changed: --yes needs to know which change to take back.\n  \
                 What to do: catchword undo CHANGE --yes, with one of the list."
                    .into(),
            )),
        };
    };
    let path = format!("/v1/changes/{}/undo", encoded(id));
    let body = json!({"force": args.force, "live": args.how.live});
    carry_out(&mut client, &api, &path, body, args.how, ui)
}

pub(crate) fn restore(args: &RestoreArgs, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let api = Api::find(&mut client)?;
    let path = format!("/v1/groups/{}/restore", encoded(&args.group));
    let mut body = json!({ "live": args.how.live });
    match &args.at {
        None => {}
        Some(At::Tag(tag)) => body["tag"] = json!(tag),
        Some(At::Time(time_ms)) => body["time_ms"] = json!(time_ms),
    }
    carry_out(&mut client, &api, &path, body, args.how, ui)
}

/// Whether it is the name of a change, such as `17-4811`, and not that of a group.
fn is_id(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts = text.split_once('-');
    parts.is_some_and(|(shard, offset)| is_number(shard) && is_number(offset))
}

fn list(group: Option<&str>, document: &Value, json: bool, ui: &mut Ui) -> Result<(), Failure> {
    if json {
        return ui.json(document);
    }
    let changes = changes(document)?;
    if changes.is_empty() {
        match group {
            None => ui.note("Nobody has meddled with any group: all have only read on."),
            Some(group) => ui.note(format_args!(
                "Nobody has meddled with group {group:?}: it has only read on. `catchword groups` lists all."
            )),
        }
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
    client: &mut Client,
    api: &Api,
    path: &str,
    mut body: Value,
    how: How,
    ui: &mut Ui,
) -> Result<(), Failure> {
    // Shown even if it is refused then: the table says where it cannot be done.
    let preview = api.post(path, &body)?;
    let force = body["force"] == true;
    body["apply"] = true.into();
    let applied = how.yes.then(|| api.post(path, &body));
    if how.json {
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
    } else if let Some(to) = &done.to {
        ui.line(format_args!("Group {:?} {}:", done.group, to.words()))?;
    } else {
        ui.line(format_args!("What group {:?} has lost:", done.group))?;
    }
    let preview = of_steps(client, &done.group, &done.partitions)?;
    show(&preview, ui)?;
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
                // Members that read commit on, over what they were given.
                let live = if how.live { " --live --force" } else { "" };
                ui.note(format_args!(
                    "To take this back: catchword undo {change}{live} --yes"
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

impl To {
    fn words(&self) -> String {
        let time = time::format(self.time_ms);
        match (&self.tag, self.exact_to.as_str()) {
            (Some(tag), _) => format!("at tag {tag:?}, made {time}"),
            (None, "move") => format!("at {time}"),
            (None, by) => format!("at the last commit of each {by} before {time}"),
        }
    }
}
