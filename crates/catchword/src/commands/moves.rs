//! A change of a group's committed offsets: planned, shown, done, and how to put it back.
//!
//! Invariant: nothing is changed without `--yes`, and nothing while a group that is concerned has live members.

use std::collections::BTreeMap;
use std::time::Duration;

use catchword_client::{
    Client, CommitAs, Committed, FetchFrom, FetchOptions, NewCommit, TopicPartition,
};
use catchword_wire::ErrorCode;
use catchword_wire::batch::Record;
use serde::Serialize;

use crate::commands::lag::{self, Bounds};
use crate::commands::text::excerpt;
use crate::failure::Failure;
use crate::plane::{self, Api, Change};
use crate::table::{Align, Table, count, records};
use crate::time;
use crate::ui::Ui;

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

/// One partition's move. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Move {
    topic: String,
    partition: i32,
    /// The committed offset; `None` if there is none.
    now: Option<i64>,
    then: i64,
    effect: Effect,
    /// How many offsets are read again or skipped.
    records: i64,
    first_record_timestamp: Option<i64>,
    #[serde(skip)]
    first_record: Option<String>,
    #[serde(skip)]
    remark: Option<String>,
    #[serde(skip)]
    metadata: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Effect {
    Again,
    Skipped,
    None,
    New,
}

#[derive(Debug, Serialize)]
struct Outcome<'a> {
    group: &'a str,
    applied: bool,
    partitions: &'a [Move],
}

/// What is asked beside the change itself.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct How {
    /// Do it.
    #[arg(long, short)]
    pub(super) yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    pub(super) json: bool,
}

/// What is to become of a group.
#[derive(Debug)]
pub(super) struct Plan {
    group: String,
    moves: Vec<Move>,
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
        let bounds = lag::bounds(client, &partitions)?;
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
        look_at_first_records(client, &mut moves)?;
        Ok(Self {
            live: live_members(client, group)?,
            group: group.to_owned(),
            moves,
        })
    }

    fn changes(&self) -> Vec<&Move> {
        let moves = self.moves.iter();
        moves.filter(|m| m.now != Some(m.then)).collect()
    }

    fn show(&self, ui: &mut Ui) -> Result<(), Failure> {
        ui.table(&preview(&self.moves))?;
        ui.line(total(&self.moves))
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
    if let Some((group, who)) = live {
        for plan in plans.iter().filter(|_| !how.json) {
            ui.table(&preview(&plan.moves))?;
        }
        return Err(Failure::failed(format!(
            "group {group:?} {who}; stop them first, wait until `catchword show {group}` says Empty, then do it again. Nothing was changed."
        )));
    }
    for plan in plans {
        let changes = plan.changes();
        if how.yes && !changes.is_empty() {
            apply(client, &plan.group, &changes)?;
        }
        if how.json {
            let outcome = Outcome {
                group: &plan.group,
                applied: how.yes,
                partitions: &plan.moves,
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
        plan.show(ui)?;
        if how.yes {
            ui.line(ui.green("Done."))?;
            way_back(client, &plan.group, &changes, ui)?;
        }
    }
    if !how.yes && !how.json {
        ui.note("Nothing was changed; --yes does it.");
    }
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

/// What the targets mean for a group that has committed these offsets.
fn moves(
    committed: &BTreeMap<TopicPartition, Committed>,
    bounds: &Bounds,
    targets: &Targets,
) -> Vec<Move> {
    let one = |(partition, target): (&TopicPartition, &Target)| {
        let (start, end) = *bounds.get(partition)?;
        let now = committed.get(partition).map(|committed| committed.offset);
        let mut remark = target.remark.clone();
        let then = target.offset.clamp(start, end);
        if then != target.offset {
            let edge = if then > target.offset {
                "starts"
            } else {
                "ends"
            };
            remark = Some(format!("the log {edge} there"));
        }
        // What is gone from the log is neither read again nor skipped.
        let from = now.map(|now| now.clamp(start, end));
        let (effect, records) = match from {
            None => (Effect::New, 0),
            Some(from) if then < from => (Effect::Again, from - then),
            Some(from) if then > from => (Effect::Skipped, then - from),
            Some(_) => (Effect::None, 0),
        };
        Some(Move {
            topic: partition.topic.clone(),
            partition: partition.partition,
            now,
            then,
            effect,
            records,
            first_record_timestamp: None,
            first_record: None,
            remark,
            metadata: target.metadata.clone(),
        })
    };
    targets.iter().filter_map(one).collect()
}

/// Fetches one record of each partition, at the place it would be read from.
fn look_at_first_records(client: &mut Client, moves: &mut [Move]) -> Result<(), Failure> {
    let place = |m: &Move| TopicPartition::new(&m.topic, m.partition);
    let options = FetchOptions {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes: 64 << 10,
        read_committed: false,
    };
    for m in moves {
        let from = FetchFrom {
            partition: place(m),
            offset: m.then,
        };
        let fetched = client.fetch(&[from], options)?;
        if let Some(record) = fetched.iter().flat_map(|fetched| &fetched.records).next() {
            m.first_record_timestamp = (record.timestamp >= 0).then_some(record.timestamp);
            m.first_record = Some(words(record));
        }
    }
    Ok(())
}

/// A record in a few words.
pub(super) fn words(record: &Record) -> String {
    let mut parts = Vec::new();
    if record.timestamp >= 0 {
        parts.push(time::format(record.timestamp));
    }
    if let Some(key) = &record.key {
        parts.push(format!("key {}", excerpt(key, 20)));
    }
    match &record.value {
        Some(value) => parts.push(excerpt(value, 32)),
        None => parts.push("(null)".into()),
    }
    parts.join("  ")
}

fn preview(moves: &[Move]) -> Table {
    let mut table = Table::new(&[
        ("PARTITION", Align::Left),
        ("NOW", Align::Right),
        ("THEN", Align::Right),
        ("EFFECT", Align::Left),
        ("FIRST RECORD THERE", Align::Left),
    ]);
    for m in moves {
        let effect = match m.effect {
            Effect::Again => format!("reads {} again", records(m.records)),
            Effect::Skipped => format!("skips {}", records(m.records)),
            Effect::None => "nothing".into(),
            Effect::New => "a first place".into(),
        };
        let effect = match &m.remark {
            Some(remark) => format!("{effect} ({remark})"),
            None => effect,
        };
        table.row(vec![
            format!("{}:{}", m.topic, m.partition),
            m.now.map_or("-".into(), count),
            count(m.then),
            effect,
            m.first_record.clone().unwrap_or_else(|| "(the end)".into()),
        ]);
    }
    table
}

fn total(moves: &[Move]) -> String {
    let sum = |effect| {
        moves
            .iter()
            .filter(|m| m.effect == effect)
            .map(|m| m.records)
            .sum()
    };
    format!(
        "In all: {} again, {} skipped.",
        records(sum(Effect::Again)),
        records(sum(Effect::Skipped))
    )
}

fn apply(client: &mut Client, group: &str, changes: &[&Move]) -> Result<(), Failure> {
    let commit = |m: &&Move| NewCommit {
        metadata: m.metadata.clone(),
        ..NewCommit::new(TopicPartition::new(&m.topic, m.partition), m.then)
    };
    let commits: Vec<NewCommit> = changes.iter().map(commit).collect();
    match client.commit(group, CommitAs::Outsider, &commits) {
        Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) => {
            Err(Failure::failed(format!(
                "a member has joined group {group:?} in the meantime; stop it and do it again. Nothing was changed."
            )))
        }
        Err(error) if error.code() == Some(ErrorCode::PolicyViolation) => {
            Err(Failure::failed(format!(
                "group {group:?} is protected from this; `catchword protect {group} off` lifts that. Nothing was changed."
            )))
        }
        other => Ok(other?),
    }
}

/// Says how to put the group back: in one command where the broker remembers, which Kafka itself does not.
fn way_back(
    client: &mut Client,
    group: &str,
    changes: &[&Move],
    ui: &mut Ui,
) -> Result<(), Failure> {
    let api = Api::find(client).ok();
    let last = api.and_then(|api| api.last_change(group));
    // Only if it is this very change.
    let is_this = |change: &Change| {
        let is_in = |m: &&Move| {
            let same = |own: &plane::Move| {
                (own.topic.as_str(), own.partition, own.to) == (&m.topic, m.partition, Some(m.then))
            };
            change.moves.iter().any(same)
        };
        !changes.is_empty() && changes.iter().all(is_in)
    };
    if let Some(change) = last.filter(is_this) {
        ui.note(format_args!(
            "To put it back: catchword undo {} --yes",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(n: i32) -> TopicPartition {
        TopicPartition::new("orders", n)
    }

    fn moves_of(
        targets: &[(i32, Target)],
        committed: &[(i32, i64)],
        bounds: &[(i32, i64, i64)],
    ) -> Vec<Move> {
        let offset = |offset| Committed {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let committed = committed
            .iter()
            .map(|(p, o)| (partition(*p), offset(*o)))
            .collect();
        let bounds = bounds
            .iter()
            .map(|(p, start, end)| (partition(*p), (*start, *end)))
            .collect();
        let targets = targets
            .iter()
            .map(|(p, target)| (partition(*p), target.clone()))
            .collect();
        moves(&committed, &bounds, &targets)
    }

    #[test]
    fn the_preview_reads_like_this() {
        let committed = [(0, 1_204_551), (1, 980_100)];
        let bounds = [(0, 0, 1_245_755), (1, 0, 980_100), (2, 0, 5)];
        let none = |offset| Target {
            remark: Some("no record at or after then".into()),
            ..Target::at(offset)
        };
        let targets = [(0, Target::at(1_180_020)), (1, none(980_100)), (2, none(5))];
        let mut moves = moves_of(&targets, &committed, &bounds);
        moves[0].first_record = Some("2026-11-23T12:30:00.412Z  key 4711".into());
        let expected = [
            "PARTITION NOW THEN EFFECT FIRST RECORD THERE",
            "orders:0 1,204,551 1,180,020 reads 24,531 records again 2026-11-23T12:30:00.412Z key 4711",
            "orders:1 980,100 980,100 nothing (no record at or after then) (the end)",
            "orders:2 - 5 a first place (no record at or after then) (the end)",
        ];
        let lines = preview(&moves).lines();
        let squeeze = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(lines.iter().map(squeeze).collect::<Vec<_>>(), expected);
        assert_eq!(
            total(&moves),
            "In all: 24,531 records again, 0 records skipped."
        );
    }

    #[test]
    fn a_place_outside_of_the_log_is_brought_into_it() {
        let targets = [(0, Target::at(-400)), (1, Target::at(400))];
        let moves = moves_of(
            &targets,
            &[(0, 100), (1, 900)],
            &[(0, 0, 1000), (1, 600, 1000)],
        );
        assert_eq!((moves[0].then, moves[0].records), (0, 100));
        assert_eq!((moves[1].then, moves[1].records), (600, 300));
        assert_eq!(moves[1].remark.as_deref(), Some("the log starts there"));
    }

    #[test]
    fn what_retention_took_is_not_read_again() {
        let moves = moves_of(&[(0, Target::at(8))], &[(0, 2)], &[(0, 8, 10)]);
        assert_eq!(
            (moves[0].then, moves[0].effect, moves[0].records),
            (8, Effect::None, 0)
        );
    }

    #[test]
    fn moving_on_skips() {
        let moves = moves_of(&[(0, Target::at(10))], &[(0, 4)], &[(0, 0, 10)]);
        assert_eq!(
            (moves[0].then, moves[0].effect, moves[0].records),
            (10, Effect::Skipped, 6)
        );
    }
}
