//! `catchword rewind`: moves a group's committed offsets, after showing what that means.
//!
//! Invariant: nothing is changed without `--yes`, and nothing while the group has live members.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use catchword_client::{
    Client, ClientError, CommitAs, Committed, FetchFrom, FetchOptions, ListAt, NewCommit,
    TopicPartition,
};
use catchword_wire::ErrorCode;
use catchword_wire::batch::Record;
use serde::Serialize;

use crate::args::Cluster;
use crate::commands::lag::{self, Bounds};
use crate::commands::text::excerpt;
use crate::failure::Failure;
use crate::place::{Partitions, Place};
use crate::plane::{self, Api, Change};
use crate::table::{Align, Table, count, records};
use crate::time;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --yes nothing is changed: the table shows, for each partition, where the group is now, where
it would be, what it would read again or skip, and the first record there. Offsets outside of the
log are brought to its start or end. Times are those of the records, and need their zone:
2026-11-23T13:30+01:00, 2026-11-23T12:30Z, \"2h ago\".

JSON: {group, applied, partitions: [{topic, partition, now, then, effect, records,
  first_record_timestamp}]}; effect is again, skipped, none or new; records are counted in offsets.

Examples:
  catchword rewind billing --to earliest
  catchword rewind billing --to 2026-11-23T13:30+01:00 --yes
  catchword rewind billing --to -500 --topic orders:0,1      500 records back in two partitions
  catchword rewind billing --to end --topic orders")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// Where to: earliest, end, an offset, -N or +N (so many records back or on), a time.
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true)]
    to: Place,
    /// Only this topic, or some of its partitions (TOPIC:0,1); may be given again and again. Without
    /// it all partitions in which the group has committed an offset.
    #[arg(long, short, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<Partitions>,
    /// Do it.
    #[arg(long, short)]
    yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// One partition's move. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Move {
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Effect {
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

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let live = live_members(&mut client, &args.group)?;
    let mut moves = plan(&mut client, args)?;
    look_at_first_records(&mut client, &mut moves)?;
    if let Some(who) = live {
        if !args.json {
            ui.table(&preview(&moves))?;
        }
        return Err(Failure::failed(format!(
            "group {:?} {who}; stop them first, wait until `catchword show {}` says Empty, then do it again. Nothing was changed.",
            args.group, args.group
        )));
    }
    let changes: Vec<&Move> = moves.iter().filter(|m| m.now != Some(m.then)).collect();
    if args.yes && !changes.is_empty() {
        apply(&mut client, &args.group, &changes)?;
    }
    if args.json {
        return ui.json(&Outcome {
            group: &args.group,
            applied: args.yes,
            partitions: &moves,
        });
    }
    ui.table(&preview(&moves))?;
    ui.line(total(&moves))?;
    if args.yes {
        ui.line(ui.green("Done."))?;
        way_back(&mut client, args, &changes, ui)
    } else {
        ui.note("Nothing was changed; --yes does it.");
        Ok(())
    }
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

/// Which partitions move where.
fn plan(client: &mut Client, args: &Args) -> Result<Vec<Move>, Failure> {
    let committed = client.committed(&args.group, None)?;
    let mut partitions: BTreeSet<TopicPartition> = BTreeSet::new();
    if args.topic.is_empty() {
        partitions.extend(committed.keys().cloned());
    }
    for wanted in &args.topic {
        let topic = client.topic(&wanted.topic, false)?;
        let last = topic.partitions.len() as i32 - 1;
        if let Some(partition) = wanted.only.iter().flatten().copied().find(|p| *p > last) {
            return Err(ClientError::UnknownPartition {
                topic: topic.name,
                partition,
                last,
            }
            .into());
        }
        let all = topic
            .partitions
            .iter()
            .map(|p| TopicPartition::new(&topic.name, p.index));
        partitions.extend(all.filter(|p| wanted.contains(p)));
    }
    if partitions.is_empty() {
        return Err(Failure::failed(format!(
            "group {:?} has committed no offsets; --topic TOPIC gives it a place there, `catchword groups` lists the groups there are",
            args.group
        )));
    }
    let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
    let bounds = lag::bounds(client, &partitions)?;
    let times: BTreeMap<_, _> = match args.to {
        Place::Time(ms) => {
            let at: Vec<_> = bounds
                .keys()
                .map(|p| (p.clone(), ListAt::Time(ms)))
                .collect();
            client
                .list_offsets(&at)?
                .into_iter()
                .filter_map(|(p, found)| Some((p, found.offset?)))
                .collect()
        }
        _ => BTreeMap::new(),
    };
    Ok(moves(args.to, &committed, &bounds, &times))
}

fn moves(
    to: Place,
    committed: &BTreeMap<TopicPartition, Committed>,
    bounds: &Bounds,
    times: &BTreeMap<TopicPartition, i64>,
) -> Vec<Move> {
    let one = |(partition, (start, end)): (&TopicPartition, &(i64, i64))| {
        let now = committed.get(partition).map(|committed| committed.offset);
        let mut remark = None;
        let wanted = match to {
            Place::Earliest => *start,
            Place::End => *end,
            Place::Offset(offset) => offset,
            Place::By(by) => now.unwrap_or(*end).saturating_add(by),
            Place::Time(ms) => times.get(partition).copied().unwrap_or_else(|| {
                remark = Some(format!("no record at or after {}", time::format(ms)));
                *end
            }),
        };
        let then = wanted.clamp(*start, *end);
        if then != wanted {
            let edge = if then > wanted { "starts" } else { "ends" };
            remark = Some(format!("the log {edge} there"));
        }
        // What is gone from the log is neither read again nor skipped.
        let from = now.map(|now| now.clamp(*start, *end));
        let (effect, records) = match from {
            None => (Effect::New, 0),
            Some(from) if then < from => (Effect::Again, from - then),
            Some(from) if then > from => (Effect::Skipped, then - from),
            Some(_) => (Effect::None, 0),
        };
        Move {
            topic: partition.topic.clone(),
            partition: partition.partition,
            now,
            then,
            effect,
            records,
            first_record_timestamp: None,
            first_record: None,
            remark,
        }
    };
    bounds.iter().map(one).collect()
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

fn words(record: &Record) -> String {
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
    let commit = |m: &&Move| NewCommit::new(TopicPartition::new(&m.topic, m.partition), m.then);
    let commits: Vec<NewCommit> = changes.iter().map(commit).collect();
    match client.commit(group, CommitAs::Outsider, &commits) {
        Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) => {
            Err(Failure::failed(format!(
                "a member has joined group {group:?} in the meantime; stop it and do it again. Nothing was changed."
            )))
        }
        other => Ok(other?),
    }
}

/// Says how to put the group back: in one command where the broker remembers, which Kafka itself does not.
fn way_back(
    client: &mut Client,
    args: &Args,
    changes: &[&Move],
    ui: &mut Ui,
) -> Result<(), Failure> {
    let api = Api::find(client).ok();
    let last = api.and_then(|api| api.last_change(&args.group));
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
            "  catchword rewind {} --to {now} --topic {}:{} --yes",
            args.group, m.topic, m.partition
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(to: Place, committed: &[(i32, i64)], bounds: &[(i32, i64, i64)]) -> Vec<Move> {
        let partition = |n: i32| TopicPartition::new("orders", n);
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
        let times = BTreeMap::from([(partition(0), 1_180_020)]);
        moves(to, &committed, &bounds, &times)
    }

    #[test]
    fn the_preview_reads_like_this() {
        let committed = [(0, 1_204_551), (1, 980_100)];
        let bounds = [(0, 0, 1_245_755), (1, 0, 980_100), (2, 0, 5)];
        let time = Place::Time(1_795_437_000_000);
        let mut moves = plan_of(time, &committed, &bounds);
        moves[0].first_record = Some("2026-11-23T12:30:00.412Z  key 4711".into());
        let expected = [
            "PARTITION        NOW       THEN  EFFECT                                                     FIRST RECORD THERE",
            "orders:0   1,204,551  1,180,020  reads 24,531 records again                                 2026-11-23T12:30:00.412Z  key 4711",
            "orders:1     980,100    980,100  nothing (no record at or after 2026-11-23T12:30:00.000Z)   (the end)",
            "orders:2           -          5  a first place (no record at or after 2026-11-23T12:30:00.000Z)  (the end)",
        ];
        let lines = preview(&moves).lines();
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            expected[1].split_whitespace().collect::<Vec<_>>()
        );
        assert_eq!(lines.len(), expected.len());
        for (line, expected) in lines.iter().zip(expected) {
            let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(squeeze(line), squeeze(expected));
        }
        assert_eq!(
            total(&moves),
            "In all: 24,531 records again, 0 records skipped."
        );
    }

    #[test]
    fn a_place_outside_of_the_log_is_brought_into_it() {
        let moves = plan_of(
            Place::By(-500),
            &[(0, 100), (1, 900)],
            &[(0, 0, 1000), (1, 600, 1000)],
        );
        assert_eq!((moves[0].then, moves[0].records), (0, 100));
        assert_eq!((moves[1].then, moves[1].records), (600, 300));
        assert!(moves[1].remark.is_some());
    }

    #[test]
    fn what_retention_took_is_not_read_again() {
        let moves = plan_of(Place::Earliest, &[(0, 2)], &[(0, 8, 10)]);
        assert_eq!(
            (moves[0].then, moves[0].effect, moves[0].records),
            (8, Effect::None, 0)
        );
    }

    #[test]
    fn moving_on_skips() {
        let moves = plan_of(Place::End, &[(0, 4)], &[(0, 0, 10)]);
        assert_eq!(
            (moves[0].then, moves[0].effect, moves[0].records),
            (10, Effect::Skipped, 6)
        );
    }
}
