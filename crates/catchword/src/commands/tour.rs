//! `catchword tour`: a guided demo that is also a test.
//!
//! A broker of its own is started, filled, read half, killed with SIGKILL, started again, and read on. Invariant: the
//! tour succeeds only if every line was read exactly once, in order, and the reading went on at the very next line.

mod broker;

use std::path::PathBuf;
use std::time::Duration;

use catchword_client::{
    Acks, Client, ClientOptions, FetchFrom, FetchOptions, GroupMember, MemberOptions, NewCommit,
    NewTopic, Rebalance, TopicPartition,
};
use catchword_wire::batch::{Compression, NewRecord, Record};

use crate::commands::show;
use crate::commands::text::excerpt;
use crate::failure::Failure;
use crate::table::{count, records};
use crate::time::now_ms;
use crate::ui::Ui;

use broker::Broker;

const TEXT: &str = include_str!("../tour.txt");
const TOPIC: &str = "tour";
const GROUP: &str = "readers";
/// A batch of the tour has at most so many records ...
const BATCH_RECORDS: usize = 1000;
/// ... and bytes of text, but for a line that is longer and goes alone.
const BATCH_BYTES: usize = 256 << 10;
/// What a batch has besides its text, at most: its head, and a few bytes a record.
const BATCH_MARGIN: usize = 64 << 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Needs no running broker: the tour starts one of its own on a free port of this machine and ends it.
It fails if a line is lost, repeated or out of order.

Examples:
  catchword tour
  catchword tour book.txt
  catchword tour /var/log/syslog --data /tmp/tour      keeps the data to look at")]
pub(crate) struct Args {
    /// The text to use, each line a record; a short one about catchwords without it.
    file: Option<PathBuf>,
    /// A directory for the data, which must be empty and is kept; without it a temporary one.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let lines = lines(args)?;
    let total = lines.len() as i64;
    let half = lines.len() / 2;
    let width = 5 + count(total).len();
    let mut tour = Tour {
        lines,
        half,
        width,
        broker: Broker::new(args.data.clone())?,
    };
    let first = tour.read_half(ui)?;
    tour.kill_and_restart(ui)?;
    tour.read_on(&first, ui)?;
    ui.line("")?;
    let verdict = format!(
        "All {} were read once, in order; the reading went on at record {}.",
        records(total),
        count(half as i64)
    );
    ui.line(ui.green(&verdict))?;
    tour.broker.finish(ui)
}

struct Tour {
    lines: Vec<Vec<u8>>,
    /// How many lines are read before the kill.
    half: usize,
    /// The width of the column of offsets.
    width: usize,
    broker: Broker,
}

impl Tour {
    fn start(&mut self, ui: &mut Ui) -> Result<Client, Failure> {
        self.broker.start()?;
        let (time, pid) = (seconds(self.broker.started_in()), self.broker.pid());
        say(
            ui,
            format_args!("It answers after {time}, as process {pid}."),
        )?;
        Ok(Client::connect(ClientOptions::to(self.broker.address()))?)
    }

    fn read_half(&mut self, ui: &mut Ui) -> Result<Vec<Record>, Failure> {
        step(ui, 1, "Start a broker")?;
        say(ui, format_args!("$ {}", self.broker.command_line()))?;
        let mut client = self.start(ui)?;

        step(ui, 2, "Store the text, a record for each line")?;
        store(&mut client, &self.lines, ui)?;
        let stored = capital(&records(self.lines.len() as i64));
        say(ui, format_args!("{stored} are in topic {TOPIC}."))?;

        step(
            ui,
            3,
            &format!("Read half of it in the group {GROUP:?}, and commit"),
        )?;
        let first = read(&mut client, self.half, ui)?;
        show_lines(ui, &first, self.width)?;
        check(&self.lines[..self.half], 0, &first)?;
        say(
            ui,
            "Committed. The bookmark is the number of the next record to read:",
        )?;
        show_group(&mut client, ui)?;
        Ok(first)
    }

    fn kill_and_restart(&mut self, ui: &mut Ui) -> Result<(), Failure> {
        step(ui, 4, "kill -9 the broker")?;
        let pid = self.broker.kill()?;
        let end = "no goodbye, no last write. Nobody answers there now.";
        say(ui, format_args!("Process {pid} got SIGKILL: {end}"))?;

        step(ui, 5, "Start it again on the same data")?;
        let mut client = self.start(ui)?;
        show_group(&mut client, ui)
    }

    fn read_on(&mut self, first: &[Record], ui: &mut Ui) -> Result<(), Failure> {
        step(ui, 6, "Read on")?;
        let mut client = Client::connect(ClientOptions::to(self.broker.address()))?;
        let rest = read(&mut client, self.lines.len() - self.half, ui)?;
        show_join(ui, first.last(), rest.first(), self.width)?;
        check(&self.lines[self.half..], self.half as i64, &rest)?;
        show_lines(ui, rest.get(1..).unwrap_or_default(), self.width)?;
        show_group(&mut client, ui)
    }
}

fn lines(args: &Args) -> Result<Vec<Vec<u8>>, Failure> {
    let text = match &args.file {
        None => TEXT.as_bytes().to_vec(),
        Some(path) => std::fs::read(path).map_err(|error| Failure::file(path, &error))?,
    };
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let lines = text.split(|byte| *byte == b'\n');
    let lines: Vec<Vec<u8>> = lines
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect();
    if lines.len() < 2 {
        return Err(Failure::Usage(
            "the tour needs a text of at least two lines".into(),
        ));
    }
    Ok(lines)
}

fn store(client: &mut Client, lines: &[Vec<u8>], ui: &mut Ui) -> Result<(), Failure> {
    let longest = lines.iter().map(Vec::len).max().unwrap_or_default();
    let largest_batch = longest.max(BATCH_BYTES) + BATCH_MARGIN;
    client.create_topic(&NewTopic {
        name: TOPIC.into(),
        partitions: Some(1),
        configs: vec![("max.message.bytes".into(), largest_batch.to_string())],
        ..NewTopic::default()
    })?;
    let mut producer = client.producer(Acks::All, Compression::None)?;
    let place = TopicPartition::new(TOPIC, 0);
    let mut rest = lines;
    while !rest.is_empty() {
        let chunk;
        (chunk, rest) = rest.split_at(batch_len(rest));
        let timestamp = now_ms();
        let record = |line| NewRecord {
            timestamp,
            key: None,
            value: Some(line),
            headers: &[],
        };
        let batch: Vec<NewRecord<'_>> = chunk.iter().map(|line| record(line.as_slice())).collect();
        client.produce(&mut producer, &place, &batch)?;
        ui.progress(format_args!(
            "{} of {} stored",
            count((lines.len() - rest.len()) as i64),
            count(lines.len() as i64)
        ));
    }
    ui.progress_done();
    Ok(())
}

/// How many of the lines go into the next batch; at least one.
fn batch_len(lines: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    let fits = |line: &&Vec<u8>| {
        bytes += line.len();
        bytes <= BATCH_BYTES
    };
    let fitting = lines.iter().take(BATCH_RECORDS).take_while(fits).count();
    fitting.max(1)
}

/// Reads so many records in the group and commits after the last of them.
///
/// The reader is a static member (KIP-345): it does not leave, it just stops, as a reader does whose machine is
/// switched off, and the next one with its name takes its place at once.
fn read(client: &mut Client, wanted: usize, ui: &mut Ui) -> Result<Vec<Record>, Failure> {
    let place = TopicPartition::new(TOPIC, 0);
    let mut options = MemberOptions::new(GROUP, vec![TOPIC.into()]);
    options.instance_id = Some("reader".into());
    let mut member = GroupMember::join(client, options)?;
    if member.assignment() != [place.clone()] {
        return Err(Failure::failed(format!(
            "the group gave its only member {:?}",
            member.assignment()
        )));
    }
    let committed = client.committed(GROUP, Some(std::slice::from_ref(&place)))?;
    let mut offset = committed
        .get(&place)
        .map_or(0, |committed| committed.offset);
    let mut read = Vec::with_capacity(wanted);
    while read.len() < wanted {
        let from = FetchFrom {
            partition: place.clone(),
            offset,
        };
        let before = read.len();
        for fetched in client.fetch(&[from], FetchOptions::default())? {
            if fetched.out_of_range {
                return Err(Failure::failed(format!(
                    "the committed offset {offset} is not in the log"
                )));
            }
            read.extend(fetched.records.into_iter().take(wanted - read.len()));
        }
        if read.len() == before {
            return Err(Failure::failed(format!(
                "the log ends after {} of {wanted} records",
                read.len()
            )));
        }
        offset = read.last().map_or(offset, |record| record.offset + 1);
        ui.progress(format_args!(
            "{} of {} read",
            count(read.len() as i64),
            count(wanted as i64)
        ));
        if member.poll(client)? != Rebalance::No {
            return Err(Failure::failed(
                "the group was rebalanced, though it has one member only",
            ));
        }
    }
    ui.progress_done();
    match member.commit(client, &[NewCommit::new(place, offset)])? {
        Rebalance::No => Ok(read),
        _ => Err(Failure::failed(
            "the commit was refused by a rebalance, though the group has one member only",
        )),
    }
}

/// Whether the records are exactly these lines, from this offset on.
fn check(lines: &[Vec<u8>], first_offset: i64, read: &[Record]) -> Result<(), Failure> {
    for (at, (line, record)) in lines.iter().zip(read).enumerate() {
        let offset = first_offset + at as i64;
        if record.offset != offset || record.value.as_deref() != Some(line.as_slice()) {
            let value = record.value.as_deref().unwrap_or_default();
            return Err(Failure::failed(format!(
                "record {offset} should be {:?}, but record {} came, {:?}",
                excerpt(line, 60),
                record.offset,
                excerpt(value, 60)
            )));
        }
    }
    match read.len() == lines.len() {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "{} lines were to be read, {} were",
            lines.len(),
            read.len()
        ))),
    }
}

fn step(ui: &mut Ui, number: usize, title: &str) -> Result<(), Failure> {
    if number > 1 {
        ui.line("")?;
    }
    ui.line(ui.bold(&format!("{number}  {title}")))?;
    ui.flush()
}

fn say(ui: &mut Ui, text: impl std::fmt::Display) -> Result<(), Failure> {
    ui.line(format_args!("   {text}"))?;
    ui.flush()
}

fn line_of(record: &Record, width: usize) -> String {
    format!(
        "{:>width$}  {}",
        count(record.offset),
        excerpt(record.value.as_deref().unwrap_or_default(), 92)
    )
}

/// The records' lines; of many only the first and the last.
fn show_lines(ui: &mut Ui, read: &[Record], width: usize) -> Result<(), Failure> {
    let shown = if read.len() > 12 { 3 } else { read.len() };
    for record in &read[..shown] {
        ui.line(line_of(record, width))?;
    }
    if shown < read.len() {
        let left_out = read.len() - shown - 2;
        ui.line(ui.faint(&format!(
            "{:width$}  ... {} more ...",
            "",
            count(left_out as i64)
        )))?;
        for record in &read[read.len() - 2..] {
            ui.line(line_of(record, width))?;
        }
    }
    Ok(())
}

/// The last line before the kill and the first after it.
fn show_join(
    ui: &mut Ui,
    before: Option<&Record>,
    after: Option<&Record>,
    width: usize,
) -> Result<(), Failure> {
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(());
    };
    say(
        ui,
        "The last line before the kill, and the first one after it:",
    )?;
    ui.line(ui.faint(&line_of(before, width)))?;
    ui.line(ui.green(&line_of(after, width)))?;
    say(ui, "and on to the end:")
}

fn show_group(client: &mut Client, ui: &mut Ui) -> Result<(), Failure> {
    for line in show::partition_lines(&show::look(client, GROUP)?.partitions) {
        ui.line(format_args!("     {line}"))?;
    }
    ui.flush()
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f32())
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, value: &str) -> Record {
        Record {
            offset,
            timestamp: 0,
            key: None,
            value: Some(value.to_owned().into()),
            headers: vec![],
        }
    }

    fn lines(text: &str) -> Vec<Vec<u8>> {
        text.split(' ')
            .map(|line| line.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn the_tour_fails_when_a_line_is_lost_repeated_or_out_of_order() {
        let read = |records: &[(i64, &str)]| -> Vec<Record> {
            records
                .iter()
                .map(|(offset, value)| record(*offset, value))
                .collect()
        };
        assert!(check(&lines("a b"), 5, &read(&[(5, "a"), (6, "b")])).is_ok());
        assert!(check(&lines("a b"), 5, &read(&[(5, "a"), (7, "b")])).is_err());
        assert!(check(&lines("a b"), 5, &read(&[(5, "a"), (6, "a")])).is_err());
        assert!(check(&lines("a b"), 5, &read(&[(5, "b"), (6, "a")])).is_err());
        assert!(check(&lines("a b"), 5, &read(&[(5, "a")])).is_err());
    }

    #[test]
    fn the_text_breaks_at_its_own_catchword() {
        let lines: Vec<&str> = TEXT.lines().collect();
        let half = lines.len() / 2;
        let catchword = lines[half - 1].rsplit(' ').next();
        assert_eq!(catchword, lines[half].split(' ').next());
        assert!(
            lines.iter().all(|line| line.len() <= 92),
            "a line is too long for a terminal"
        );
    }
}
