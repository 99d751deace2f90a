//! A change of a group's committed offsets: planned, shown, done, and how to put it back.
//!
//! Invariant: nothing is changed without `--yes`, and without `--live` nothing while a group that is concerned has live
//! members.

mod preview;
mod reading;

use std::collections::BTreeMap;

use catchword_client::{Client, CommitAs, Committed, NewCommit, TopicPartition};
use catchword_wire::ErrorCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::commands::distance::{self, Bounds};
use crate::commands::protect::KEY as PROTECT;
use crate::commands::setting;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{self, Api, Change};
use crate::ui::Ui;
use preview::{Move, Preview, look_at_first_records, moves};
pub(super) use preview::{Step, of_steps, show, words};

/// Where a partition is to be put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// The offset; one outside of the log is brought to its start or end.
    pub(super) offset: i64,
    /// What to keep beside it.
    pub(super) metadata: String,
    /// What the preview says about it.
    pub(super) remark: Option<String>,
}

impl Target {
    /// An offset and nothing else.
    pub(super) fn at(offset: i64) -> Self {
        Self {
            offset,
            ..Self::default()
        }
    }
}

/// Where the partitions of a group are to be put.
pub(super) type Targets = BTreeMap<TopicPartition, Target>;

#[derive(Debug, Serialize)]
struct Outcome<'a> {
    group: &'a str,
    applied: bool,
    /// How long the group takes for what it reads again, at its own pace.
    takes_ms: Option<i64>,
    partitions: &'a [Move],
}

/// What is asked beside the change itself.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct How {
    /// Do it.
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Also while members are reading: they are sent away for a moment, rejoin, and read from there.
    #[arg(long)]
    pub(super) live: bool,
    /// JSON for scripts.
    #[arg(long)]
    pub(super) json: bool,
}

/// What is to become of a group.
#[derive(Debug)]
pub(super) struct Plan {
    group: String,
    preview: Preview,
    /// Who is live in the group, in words.
    live: Option<String>,
}

impl Plan {
    /// Asks the broker what it needs.
    ///
    /// # Errors
    /// If a partition does not exist.
    pub(super) fn new(
        client: &mut Client,
        group: &str,
        targets: &Targets,
    ) -> Result<Self, Failure> {
        let committed = client.committed(group, None)?;
        let partitions: Vec<_> = targets.keys().cloned().collect();
        let bounds = distance::bounds(client, &partitions)?;
        if let Some(missing) = partitions.iter().find(|p| !bounds.contains_key(*p)) {
            return Err(Failure::failed(format!(
                "there is no partition {missing}, so group {group:?} can have no place there; nothing was changed"
            )));
        }
        Self::of(client, group, &committed, &bounds, targets)
    }

    /// As [`Plan::new`], of what was asked already.
    pub(super) fn of(
        client: &mut Client,
        group: &str,
        committed: &BTreeMap<TopicPartition, Committed>,
        bounds: &Bounds,
        targets: &Targets,
    ) -> Result<Self, Failure> {
        let mut moves = moves(committed, bounds, targets);
        look_at_first_records(client, bounds, &mut moves)?;
        Ok(Self {
            live: live_members(client, group)?,
            group: group.to_owned(),
            preview: Preview::of(client, group, moves),
        })
    }

    fn changes(&self) -> Vec<&Move> {
        let moves = self.preview.moves.iter();
        moves.filter(|m| m.now != m.then).collect()
    }
}

/// Shows the plans and, if told to, carries them out.
///
/// # Errors
/// If one of the groups has live members: then nothing is changed in any.
pub(super) fn carry_out(
    client: &mut Client,
    plans: &[Plan],
    how: How,
    ui: &mut Ui,
) -> Result<(), Failure> {
    let several = plans.len() > 1;
    let live = plans
        .iter()
        .find_map(|plan| Some((&plan.group, plan.live.as_ref()?)));
    if let Some((group, who)) = live
        && !how.live
    {
        for plan in plans.iter().filter(|_| !how.json) {
            show(&plan.preview, ui)?;
        }
        return Err(Failure::failed(format!(
            "group {group:?} {who}; stop them first, wait until `catchword show {group}` says Empty, then do it again; rewind, skip, copy and import can do it --live at a Catchword, without stopping them. Nothing was changed."
        )));
    }
    for plan in plans {
        let changes = plan.changes();
        if how.yes && !changes.is_empty() {
            match &plan.live {
                Some(_) => put_live(client, &plan.group, &changes)?,
                None => apply(client, &plan.group, &changes)?,
            }
        }
        if how.json {
            let outcome = Outcome {
                group: &plan.group,
                applied: how.yes,
                takes_ms: plan.preview.takes_ms(),
                partitions: &plan.preview.moves,
            };
            match several {
                true => ui.json_line(&outcome)?,
                false => ui.json(&outcome)?,
            }
            continue;
        }
        if several {
            ui.line(format_args!("Group {}", plan.group))?;
        }
        show(&plan.preview, ui)?;
        tell_who_is_moved(plan, how, ui);
        if how.yes {
            ui.line(ui.green(if plan.live.is_some() {
                "Done: the members rejoin, and read from there."
            } else {
                "Done."
            }))?;
            way_back(client, plan, &changes, ui)?;
        }
    }
    if !how.yes && !how.json {
        ui.note("Nothing was changed; --yes does it.");
    }
    Ok(())
}

/// What `--live` means for those who read.
fn tell_who_is_moved(plan: &Plan, how: How, ui: &mut Ui) {
    match &plan.live {
        Some(who) => ui.note(format_args!(
            "Group {:?} {who}: what they have read and not committed is read again.",
            plan.group
        )),
        None if how.live => ui.note(format_args!(
            "Group {:?} has no members. Consumers that assign themselves their partitions (assign()) are none, and read on \
             from where they are until they are restarted.",
            plan.group
        )),
        None => {}
    }
}

/// Has the broker do it, which alone can move a group under its members.
fn put_live(client: &mut Client, group: &str, changes: &[&Move]) -> Result<(), Failure> {
    let place = |m: &&Move| json!({"topic": m.topic, "partition": m.partition, "offset": m.then, "metadata": m.metadata});
    let partitions: Vec<Value> = changes.iter().map(place).collect();
    let path = format!("/v1/groups/{}/move", encoded(group));
    let body = json!({"apply": true, "live": true, "partitions": partitions});
    Api::find(client)?.post(&path, &body)?;
    Ok(())
}

/// Who is live in the group, in words; `None` if nobody is.
fn live_members(client: &mut Client, group: &str) -> Result<Option<String>, Failure> {
    if let Some(group) = client.describe_group(group)? {
        let who: Vec<_> = group
            .members
            .iter()
            .map(|m| format!("{} on {}", m.client_id, m.host))
            .collect();
        let words = format!("is {} with live members ({})", group.state, who.join(", "));
        return Ok(group.is_live().then_some(words));
    }
    // A group of another protocol (KIP-848) cannot be described in this way, but it is listed.
    let listed = client
        .list_groups()?
        .into_iter()
        .find(|listed| listed.group == group);
    let live = listed.filter(|listed| !matches!(listed.state.as_str(), "Empty" | "Dead" | ""));
    Ok(live.map(|listed| format!("is {} with live members", listed.state)))
}

fn apply(client: &mut Client, group: &str, changes: &[&Move]) -> Result<(), Failure> {
    let commit = |m: &&Move| {
        let partition = TopicPartition::new(&m.topic, m.partition);
        Some(NewCommit {
            metadata: m.metadata.clone(),
            ..NewCommit::new(partition, m.then?)
        })
    };
    let commits: Vec<NewCommit> = changes.iter().filter_map(commit).collect();
    match client.commit(group, CommitAs::Outsider, &commits) {
        Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) => {
            Err(Failure::failed(format!(
                "a member has joined group {group:?} in the meantime; stop it and do it again. Nothing was changed."
            )))
        }
        Err(error) if error.code() == Some(ErrorCode::PolicyViolation) => {
            // A pin holds what is to be removed, and nothing is here.
            let api = Api::find(client)?;
            let how = match setting::get(client, &api, group, PROTECT)?.as_str() {
                "frozen" => "frozen (catchword protect)",
                _ => "protected from being set back (catchword protect)",
            };
            Err(Failure::failed(format!(
                "group {group:?} is {how}; `catchword protect {group} off` lifts that. Nothing was changed."
            )))
        }
        other => Ok(other?),
    }
}

/// Says how to put the group back: in one command where the broker remembers, which Kafka itself does not.
fn way_back(
    client: &mut Client,
    plan: &Plan,
    changes: &[&Move],
    ui: &mut Ui,
) -> Result<(), Failure> {
    let group = plan.group.as_str();
    let api = Api::find(client).ok();
    let last = api.and_then(|api| api.last_change(group));
    // Only if it is this very change.
    let is_this = |change: &Change| {
        let is_in = |m: &&Move| {
            let same = |own: &plane::Move| {
                (own.topic.as_str(), own.partition, own.to) == (&m.topic, m.partition, m.then)
            };
            change.moves.iter().any(same)
        };
        !changes.is_empty() && changes.iter().all(is_in)
    };
    if let Some(change) = last.filter(is_this) {
        // Members that read commit on, over what they were given.
        let how = if plan.live.is_some() {
            " --live --force"
        } else {
            ""
        };
        ui.note(format_args!(
            "To put it back: catchword undo {}{how} --yes",
            change.id
        ));
        return Ok(());
    }
    let back: Vec<(&Move, i64)> = changes.iter().filter_map(|m| Some((*m, m.now?))).collect();
    if !back.is_empty() {
        ui.note("To put it back:");
    }
    for (m, now) in back {
        ui.note(format_args!(
            "  catchword rewind {group} --to {now} --topic {}:{} --yes",
            m.topic, m.partition
        ));
    }
    Ok(())
}
