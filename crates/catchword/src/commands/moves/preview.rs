//! What moving a group's bookmarks would do, for people: now, then, how many records again or skipped, the first there.
//!
//! Every command that moves bookmarks previews them by this, whoever carries the change out.

use std::collections::BTreeMap;
use std::time::Duration;

use catchword_client::{Client, Committed, FetchFrom, FetchOptions, TopicPartition};
use catchword_wire::batch::Record;
use serde::{Deserialize, Serialize};

use super::reading::{Reading, measure};
use super::{Target, Targets};
use crate::commands::distance::{self, Bounds};
use crate::commands::text::excerpt;
use crate::failure::Failure;
use crate::table::{Align, Table, bytes, count, records};
use crate::time;
use crate::ui::Ui;

/// Longer tables nobody reads.
const MAX_ROWS: usize = 50;

/// One partition's move. The field names are for scripts and stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::commands) struct Move {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// The committed offset; `None` if there is none.
    pub(super) now: Option<i64>,
    /// Where it will be; `None` if it will be removed.
    pub(super) then: Option<i64>,
    effect: Effect,
    /// How many records are read again or skipped; offsets, where the broker does not count records.
    records: i64,
    /// Their bytes, as they are stored; `None` where the broker does not tell.
    bytes: Option<i64>,
    first_record_timestamp: Option<i64>,
    #[serde(skip)]
    first_record: Option<String>,
    remark: Option<String>,
    #[serde(skip)]
    pub(super) metadata: String,
}

impl Move {
    /// What is read again or skipped, as far as that is in the log.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let is_some = matches!(self.effect, Effect::Again | Effect::Skipped);
        self.now.zip(self.then).filter(|_| is_some)
    }

    /// What of that was counted.
    pub(super) fn counted(&mut self, records: Option<i64>, bytes: Option<i64>) {
        self.records = records.unwrap_or(self.records);
        self.bytes = bytes;
    }
}

/// Moves, and how the group reads that they are of.
#[derive(Debug)]
pub(in crate::commands) struct Preview {
    pub(super) moves: Vec<Move>,
    pub(super) reading: Option<Reading>,
}

impl Preview {
    /// With what lies between counted, where the broker counts it.
    pub(super) fn of(client: &mut Client, group: &str, mut moves: Vec<Move>) -> Self {
        let reading = measure(client, group, &mut moves);
        Self { moves, reading }
    }

    /// How long the group takes to read what comes again, ms; `None` where that is not known.
    pub(super) fn takes_ms(&self) -> Option<i64> {
        let (records, _) = sum(&self.moves, Effect::Again);
        self.reading.as_ref()?.takes_ms(records)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Effect {
    Again,
    Skipped,
    None,
    New,
    /// What was gone comes back.
    Back,
    Removed,
}

/// What the targets mean for a group that has committed these offsets.
pub(super) fn moves(
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
        let (effect, records) = effect(now, Some(then), Some((start, end)));
        Some(Move {
            topic: partition.topic.clone(),
            partition: partition.partition,
            now,
            then: Some(then),
            effect,
            records,
            bytes: None,
            first_record_timestamp: None,
            first_record: None,
            remark,
            metadata: target.metadata.clone(),
        })
    };
    targets.iter().filter_map(one).collect()
}

/// What going from one place to another does. What is gone from the log is neither read again nor skipped.
fn effect(now: Option<i64>, then: Option<i64>, bounds: Option<(i64, i64)>) -> (Effect, i64) {
    let within = |offset: i64| bounds.map_or(offset, |(start, end)| offset.clamp(start, end));
    match (now.map(within), then.map(within)) {
        (None, None) => (Effect::None, 0),
        (None, Some(_)) => (Effect::New, 0),
        (Some(_), None) => (Effect::Removed, 0),
        (Some(from), Some(to)) if to < from => (Effect::Again, from - to),
        (Some(from), Some(to)) if to > from => (Effect::Skipped, to - from),
        (Some(_), Some(_)) => (Effect::None, 0),
    }
}

/// A bookmark's move as the broker plans it: put exactly there, wherever the log begins and ends.
#[derive(Debug, Deserialize)]
pub(in crate::commands) struct Step {
    topic: String,
    partition: i32,
    now: Option<i64>,
    then: Option<i64>,
    pub(in crate::commands) moves: bool,
    pub(in crate::commands) obstacle: Option<String>,
}

impl Step {
    fn place(&self) -> TopicPartition {
        TopicPartition::new(&self.topic, self.partition)
    }

    fn preview(&self, bounds: Option<(i64, i64)>) -> Move {
        let (mut effect, records) = match self.moves {
            true => effect(self.now, self.then, bounds),
            false => (Effect::None, 0),
        };
        if effect == Effect::New {
            effect = Effect::Back;
        }
        let remark = match self.obstacle.as_deref() {
            Some("moved-on") if self.moves => Some("overwrites what was committed since"),
            Some("moved-on") => Some("not moved: committed since"),
            Some("topic-recreated") => Some("not moved: the topic was deleted and created again"),
            Some("no-topic") => Some("not moved: the topic is gone"),
            Some("forgotten") => Some("not moved: nobody knows any more where it was"),
            Some("no-place-then") => Some("not moved: no place of then is known"),
            Some(_) => Some("not moved"),
            None if self.moves && effect == Effect::None => Some("no record lies between"),
            None if bounds
                .zip(self.then)
                .is_some_and(|((start, _), then)| then < start) =>
            {
                Some("the log starts later")
            }
            None => None,
        };
        Move {
            topic: self.topic.clone(),
            partition: self.partition,
            now: self.now,
            then: self.then,
            effect,
            records,
            bytes: None,
            first_record_timestamp: None,
            first_record: None,
            remark: remark.map(str::to_owned),
            metadata: String::new(),
        }
    }
}

/// The preview of what the broker plans.
///
/// # Errors
/// If the cluster cannot be asked for the logs' bounds or for the first records.
pub(in crate::commands) fn of_steps(
    client: &mut Client,
    group: &str,
    steps: &[Step],
) -> Result<Preview, Failure> {
    let partitions: Vec<TopicPartition> = steps.iter().map(Step::place).collect();
    let bounds = distance::bounds(client, &partitions)?;
    let one = |step: &Step| step.preview(bounds.get(&step.place()).copied());
    let mut moves: Vec<Move> = steps.iter().map(one).collect();
    look_at_first_records(client, &bounds, &mut moves)?;
    Ok(Preview::of(client, group, moves))
}

/// Fetches one record of each partition that is shown, at the place it would be read from.
pub(super) fn look_at_first_records(
    client: &mut Client,
    bounds: &Bounds,
    moves: &mut [Move],
) -> Result<(), Failure> {
    let place = |m: &Move| TopicPartition::new(&m.topic, m.partition);
    let options = FetchOptions {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes: 64 << 10,
        read_committed: false,
    };
    for m in moves.iter_mut().take(MAX_ROWS) {
        let partition = place(m);
        let is_in_log = |offset: &i64| {
            let bounds = bounds.get(&partition);
            bounds.is_some_and(|(start, end)| (start..end).contains(&offset))
        };
        let Some(offset) = m.then.filter(is_in_log) else {
            continue;
        };
        let from = FetchFrom { partition, offset };
        let fetched = client.fetch(&[from], options)?;
        if let Some(record) = fetched.iter().flat_map(|fetched| &fetched.records).next() {
            m.first_record_timestamp = (record.timestamp >= 0).then_some(record.timestamp);
            m.first_record = Some(words(record));
        }
    }
    Ok(())
}

/// A record in a few words.
pub(in crate::commands) fn words(record: &Record) -> String {
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

/// The table of so many moves as somebody reads.
fn table(moves: &[Move]) -> Table {
    let mut table = Table::new(&[
        ("PARTITION", Align::Left),
        ("NOW", Align::Right),
        ("THEN", Align::Right),
        ("EFFECT", Align::Left),
        ("FIRST RECORD THERE", Align::Left),
    ]);
    for m in moves.iter().take(MAX_ROWS) {
        let effect = match m.effect {
            Effect::Again => format!("reads {} again", records(m.records)),
            Effect::Skipped => format!("skips {}", records(m.records)),
            Effect::None => "nothing".into(),
            Effect::New => "a first place".into(),
            Effect::Back => "put back".into(),
            Effect::Removed => "removed, as before".into(),
        };
        let effect = match &m.remark {
            Some(remark) => format!("{effect} ({remark})"),
            None => effect,
        };
        table.row(vec![
            format!("{}:{}", m.topic, m.partition),
            m.now.map_or("-".into(), count),
            m.then.map_or("-".into(), count),
            effect,
            first_record(m),
        ]);
    }
    table
}

/// What would be read first from there.
fn first_record(m: &Move) -> String {
    match (&m.first_record, m.then) {
        (Some(words), _) => words.clone(),
        (None, Some(_)) => "(the end)".into(),
        (None, None) => "-".into(),
    }
}

/// Shows the moves and what they come to.
pub(in crate::commands) fn show(preview: &Preview, ui: &mut Ui) -> Result<(), Failure> {
    let moves = &preview.moves;
    ui.table(&table(moves))?;
    let more = moves.len().saturating_sub(MAX_ROWS);
    if more > 0 {
        let more = count(i64::try_from(more).unwrap_or(i64::MAX));
        ui.line(format_args!("… and {more} more (--json has all)"))?;
    }
    ui.line(total(moves))?;
    let (again, _) = sum(moves, Effect::Again);
    match &preview.reading {
        Some(reading) if again > 0 => ui.line(reading.words(again)),
        _ => Ok(()),
    }
}

/// Records, and the bytes of them that are known.
fn sum(moves: &[Move], effect: Effect) -> (i64, i64) {
    let some = moves.iter().filter(|m| m.effect == effect);
    some.fold((0, 0), |(records, bytes), m| {
        (records + m.records, bytes + m.bytes.unwrap_or(0))
    })
}

fn total(moves: &[Move]) -> String {
    let words = |effect| {
        let (number, size) = sum(moves, effect);
        let size = match size {
            0 => String::new(),
            size => format!(" ({})", bytes(size)),
        };
        (records(number), size)
    };
    let ((again, again_size), (skipped, skipped_size)) =
        (words(Effect::Again), words(Effect::Skipped));
    format!("In all: {again} again{again_size}, {skipped} skipped{skipped_size}.")
}

#[cfg(test)]
mod tests;
