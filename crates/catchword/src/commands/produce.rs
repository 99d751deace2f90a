//! `catchword produce`: lines become records.
//!
//! Lines are stored in batches; a batch goes out when it is full or when no further line comes at once, so that both
//! a large file and somebody typing are served well.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use catchword_client::{Acks, Client, Producer, TopicPartition};
use catchword_wire::batch::{Compression, Header, NewRecord};
use clap::ValueEnum;

use crate::args::Cluster;
use crate::commands::partitioner::partition_of;
use crate::failure::Failure;
use crate::table::{count, records};
use crate::time::now_ms;
use crate::ui::Ui;

/// A batch is sent before it has more bytes than these (but a longer line goes alone) ...
const BATCH_BYTES: usize = 512 << 10;
/// ... or so many records ...
const BATCH_RECORDS: usize = 10_000;
/// ... or when no line has come for so long.
const LINGER: Duration = Duration::from_millis(20);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each line is a record, without its line end; an empty line is a record with an empty value. A topic
that does not exist is created if the broker's auto.create.topics.enable says so.

Examples:
  catchword produce quotes book.txt
  tail -f app.log | catchword produce app-log
  printf 'ana:3\\nben:5\\n' | catchword produce scores --key-separator :
  printf 'ana:\\n' | catchword produce scores --key-separator : --null ''   delete ana (a tombstone)")]
pub(crate) struct Args {
    /// The topic.
    topic: String,
    /// The file to read; standard input without it, or with -.
    file: Option<PathBuf>,
    /// What separates a line's key from its value; without it records have no key.
    #[arg(long, short = 'K', value_name = "TEXT")]
    key_separator: Option<String>,
    /// A value that is exactly this text becomes null: a tombstone in a compacted topic.
    #[arg(long, value_name = "TEXT")]
    null: Option<String>,
    /// A header for every record; may be given again and again.
    #[arg(long, short = 'H', value_name = "NAME=VALUE", value_parser = header)]
    header: Vec<Header>,
    /// The partition for all records; without it as the key says, or in turn.
    #[arg(long, short, value_name = "N")]
    partition: Option<i32>,
    /// When a record counts as stored.
    #[arg(long, value_enum, default_value_t = AcksArg::All)]
    acks: AcksArg,
    /// How to compress batches.
    #[arg(long, value_enum, default_value_t = CodecArg::None)]
    compression: CodecArg,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AcksArg {
    /// When it was sent.
    None,
    /// When the leader has it.
    Leader,
    /// When all in-sync replicas have it; nothing is stored twice.
    All,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecArg {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

fn header(text: &str) -> Result<Header, String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((
        Bytes::copy_from_slice(name.as_bytes()),
        Some(Bytes::copy_from_slice(value.as_bytes())),
    ))
}

/// A record that waits to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl Line {
    /// Takes a line apart. The error says what is missing.
    fn parse(
        mut line: Vec<u8>,
        separator: Option<&[u8]>,
        null: Option<&[u8]>,
    ) -> Result<Self, String> {
        let key = match separator {
            None => None,
            Some(separator) => {
                let at = line
                    .windows(separator.len().max(1))
                    .position(|window| window == separator);
                let at = at.ok_or("the line has no key: --key-separator is not in it")?;
                let value = line.split_off(at + separator.len());
                line.truncate(at);
                Some(std::mem::replace(&mut line, value))
            }
        };
        let value = (null != Some(line.as_slice())).then_some(line);
        Ok(Self { key, value })
    }

    fn len(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + 16
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    if args.key_separator.as_deref() == Some("") {
        return Err(Failure::Usage("--key-separator must not be empty".into()));
    }
    let lines = lines(args.file.as_deref())?;
    let mut client = args.cluster.connect()?;
    let topic = client.topic(&args.topic, true)?;
    let partitions = topic.partitions.len() as i32;
    if let Some(partition) = args.partition.filter(|p| !(0..partitions).contains(p)) {
        let topic = args.topic.clone();
        return Err(catchword_client::ClientError::UnknownPartition {
            topic,
            partition,
            last: partitions - 1,
        }
        .into());
    }
    if args.file.is_none() && io::stdin().is_terminal() {
        ui.note(format_args!(
            "Each line becomes a record of {}. End with Ctrl-D.",
            args.topic
        ));
    }
    let producer = client.producer(args.acks.into(), args.compression.into())?;
    let mut sending = Sending::new(args, client, producer, partitions);
    let result = sending.all(&lines, ui);
    ui.progress_done();
    sending.report(ui)?;
    result
}

struct Sending<'a> {
    args: &'a Args,
    client: Client,
    producer: Producer,
    partitions: i32,
    /// Records waiting, by partition.
    waiting: BTreeMap<i32, Vec<Line>>,
    waiting_bytes: usize,
    waiting_records: usize,
    /// The partition that records without a key go to until the next batch.
    turn: i32,
    sent: i64,
    /// First and last offset by partition, where they are known.
    stored: BTreeMap<i32, (i64, i64)>,
    began: Instant,
}

impl<'a> Sending<'a> {
    fn new(args: &'a Args, client: Client, producer: Producer, partitions: i32) -> Self {
        Self {
            args,
            client,
            producer,
            partitions,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            waiting_records: 0,
            turn: 0,
            sent: 0,
            stored: BTreeMap::new(),
            began: Instant::now(),
        }
    }

    fn all(&mut self, lines: &Receiver<io::Result<Vec<u8>>>, ui: &mut Ui) -> Result<(), Failure> {
        let separator = self.args.key_separator.as_deref().map(str::as_bytes);
        let null = self.args.null.as_deref().map(str::as_bytes);
        let mut number: i64 = 0;
        loop {
            let line = if self.waiting.is_empty() {
                lines.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                lines.recv_timeout(LINGER)
            };
            match line {
                Ok(line) => {
                    number += 1;
                    let line = Line::parse(line?, separator, null)
                        .map_err(|why| Failure::failed(format!("line {number}: {why}")))?;
                    if self.waiting_bytes + line.len() > BATCH_BYTES
                        || self.waiting_records == BATCH_RECORDS
                    {
                        self.flush(ui)?;
                    }
                    self.waiting_bytes += line.len();
                    self.waiting_records += 1;
                    let partition = self.partition(&line);
                    self.waiting.entry(partition).or_default().push(line);
                }
                Err(RecvTimeoutError::Timeout) => self.flush(ui)?,
                Err(RecvTimeoutError::Disconnected) => return self.flush(ui),
            }
        }
    }

    fn partition(&self, line: &Line) -> i32 {
        match (self.args.partition, &line.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, self.partitions),
            (None, None) => self.turn,
        }
    }

    fn flush(&mut self, ui: &mut Ui) -> Result<(), Failure> {
        let timestamp = now_ms();
        for (partition, lines) in std::mem::take(&mut self.waiting) {
            let batch: Vec<NewRecord<'_>> = lines
                .iter()
                .map(|line| NewRecord {
                    timestamp,
                    key: line.key.as_deref(),
                    value: line.value.as_deref(),
                    headers: &self.args.header,
                })
                .collect();
            let place = TopicPartition::new(&self.args.topic, partition);
            let produced = self.client.produce(&mut self.producer, &place, &batch)?;
            self.sent += batch.len() as i64;
            if let Some(base) = produced.base_offset {
                let last = base + batch.len() as i64 - 1;
                self.stored
                    .entry(partition)
                    .and_modify(|range| range.1 = last)
                    .or_insert((base, last));
            }
        }
        self.turn = (self.turn + 1) % self.partitions.max(1);
        (self.waiting_bytes, self.waiting_records) = (0, 0);
        if self.began.elapsed() > Duration::from_secs(1) {
            ui.progress(format_args!("{} stored", records(self.sent)));
        }
        Ok(())
    }

    fn report(&self, ui: &mut Ui) -> Result<(), Failure> {
        let ranges = self.stored.iter().map(|(partition, (first, last))| {
            format!(
                "{}:{partition} from {} to {}",
                self.args.topic,
                count(*first),
                count(*last)
            )
        });
        let ranges: Vec<_> = ranges.collect();
        let what = if matches!(self.args.acks, AcksArg::None) {
            "Sent"
        } else {
            "Stored"
        };
        let places = match ranges.len() {
            0 => String::new(),
            1..=4 => format!(": {}", ranges.join("; ")),
            n => format!(" in {n} partitions"),
        };
        ui.note(format_args!("{what} {}{places}.", records(self.sent)));
        Ok(())
    }
}

/// Reads lines in a thread of its own, so that a batch need not wait for the next one.
fn lines(file: Option<&Path>) -> Result<Receiver<io::Result<Vec<u8>>>, Failure> {
    let source: Box<dyn Read + Send> = match file {
        None => Box::new(io::stdin()),
        Some(path) if path == Path::new("-") => Box::new(io::stdin()),
        Some(path) => Box::new(File::open(path).map_err(|error| Failure::file(path, &error))?),
    };
    let (sender, receiver) = sync_channel(BATCH_RECORDS);
    thread::spawn(move || {
        let mut source = BufReader::with_capacity(256 << 10, source);
        loop {
            let mut line = Vec::new();
            let read = source.read_until(b'\n', &mut line);
            let message = match read {
                Ok(0) => return,
                Ok(_) => Ok(trim_line_end(line)),
                Err(error) => Err(error),
            };
            let failed = message.is_err();
            if sender.send(message).is_err() || failed {
                return;
            }
        }
    });
    Ok(receiver)
}

/// The line without `\n` or `\r\n`.
fn trim_line_end(mut line: Vec<u8>) -> Vec<u8> {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    line
}

impl From<AcksArg> for Acks {
    fn from(acks: AcksArg) -> Self {
        match acks {
            AcksArg::None => Self::None,
            AcksArg::Leader => Self::Leader,
            AcksArg::All => Self::All,
        }
    }
}

impl From<CodecArg> for Compression {
    fn from(codec: CodecArg) -> Self {
        match codec {
            CodecArg::None => Self::None,
            CodecArg::Gzip => Self::Gzip,
            CodecArg::Snappy => Self::Snappy,
            CodecArg::Lz4 => Self::Lz4,
            CodecArg::Zstd => Self::Zstd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        line: &str,
        separator: Option<&str>,
        null: Option<&str>,
    ) -> Result<(String, String), String> {
        let line = Line::parse(
            line.into(),
            separator.map(str::as_bytes),
            null.map(str::as_bytes),
        )?;
        let shown =
            |field: Option<Vec<u8>>| field.map_or("null".into(), |b| String::from_utf8(b).unwrap());
        Ok((shown(line.key), shown(line.value)))
    }

    #[test]
    fn a_line_is_taken_apart_at_the_first_separator() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(parse("a:b:c", Some(":"), None), pair("a", "b:c"));
        assert_eq!(parse("a => b", Some(" => "), None), pair("a", "b"));
        assert_eq!(parse("a:b", None, None), pair("null", "a:b"));
        assert_eq!(parse(":b", Some(":"), None), pair("", "b"));
        assert!(parse("ab", Some(":"), None).unwrap_err().contains("no key"));
    }

    #[test]
    fn a_value_can_be_null() {
        assert_eq!(
            parse("a:", Some(":"), Some("")),
            Ok(("a".into(), "null".into()))
        );
        assert_eq!(
            parse("a:NULL", Some(":"), Some("NULL")),
            Ok(("a".into(), "null".into()))
        );
        assert_eq!(
            parse("a:", Some(":"), None),
            Ok(("a".into(), String::new()))
        );
    }

    #[test]
    fn a_line_loses_its_end_only() {
        assert_eq!(trim_line_end(b"a \r\n".to_vec()), b"a ");
        assert_eq!(trim_line_end(b"a\r".to_vec()), b"a\r");
        assert_eq!(trim_line_end(b"\n".to_vec()), b"");
    }
}
