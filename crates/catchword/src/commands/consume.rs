//! `catchword consume`: records become lines; alone, or as a member of a group that keeps its place.
//!
//! Invariant: in a group, an offset is committed only after the records before it were written out.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use catchword_client::{
    Client, ClientError, FetchFrom, FetchOptions, Fetched, GroupMember, ListAt, MemberOptions,
    NewCommit, Rebalance, TopicPartition,
};
use catchword_wire::batch::Record;
use serde::Serialize;

use crate::args::Cluster;
use crate::commands::distance;
use crate::commands::text::Blob;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::place::{Partitions, Place};
use crate::table::{count, records};
use crate::time;
use crate::ui::Ui;

/// How often a group's place is committed while records flow.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a group, reading goes on at the committed offset; --from says where to begin only where there is
none. The place is committed after the records were written out, every second and at the end, so
that what was read is not lost, whatever is killed.

Times need their zone: 2026-11-23T13:30+01:00, 2026-11-23T12:30Z, \"2h ago\".

JSON: a line for each record: {topic, partition, offset, timestamp, key, value, headers: [[NAME,
VALUE]]}; timestamp in milliseconds; what is not UTF-8 is {\"base64\": TEXT}.

Examples:
  catchword consume quotes --stop-at-end
  catchword consume quotes --group readers --max 12
  catchword consume app-log --from \"2h ago\" --json | jq -r .value
  catchword consume app-log:0,1 --from -10 --timestamps")]
pub(crate) struct Args {
    /// The topic, or some of its partitions: TOPIC:0,1.
    topic: Partitions,
    /// The group to read in; without one every run reads for itself.
    #[arg(long, short)]
    group: Option<String>,
    /// Where to begin: earliest, end, an offset, -N (so many records before the end), a time.
    #[arg(
        long,
        value_name = "PLACE",
        default_value = "earliest",
        allow_hyphen_values = true
    )]
    from: Place,
    /// Stop after so many records.
    #[arg(long, short = 'n', value_name = "N")]
    max: Option<u64>,
    /// Stop where the log ended when reading began.
    #[arg(long, short = 'e')]
    stop_at_end: bool,
    /// JSON for scripts, a line for each record.
    #[arg(long)]
    json: bool,
    /// Write each record's key, then a tab, before its value.
    #[arg(long, short)]
    keys: bool,
    /// Write each record's time before it, in UTC.
    #[arg(long, short)]
    timestamps: bool,
    /// Write each record's partition and offset before it.
    #[arg(long, short)]
    offsets: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    if args.group.is_some() && args.topic.only.is_some() {
        return Err(Failure::Usage(
            "in a group the partitions are assigned: name the topic alone".into(),
        ));
    }
    let mut client = args.cluster.connect()?;
    client.topic(&args.topic.topic, false)?;
    let mut reading = Reading {
        args,
        client,
        interrupt: Interrupt::watch(),
        positions: BTreeMap::new(),
        stops: BTreeMap::new(),
        left: args.max.unwrap_or(u64::MAX),
    };
    match &args.group {
        None => reading.alone(ui),
        Some(group) => reading.in_group(group, ui),
    }
}

struct Reading<'a> {
    args: &'a Args,
    client: Client,
    interrupt: Interrupt,
    /// The next offset to read of each partition.
    positions: BTreeMap<TopicPartition, i64>,
    /// Where `--stop-at-end` stops.
    stops: BTreeMap<TopicPartition, i64>,
    left: u64,
}

impl Reading<'_> {
    fn alone(&mut self, ui: &mut Ui) -> Result<(), Failure> {
        let topic = self.client.topic(&self.args.topic.topic, false)?;
        let all = topic
            .partitions
            .iter()
            .map(|p| TopicPartition::new(&topic.name, p.index));
        let partitions: Vec<TopicPartition> = all.filter(|p| self.args.topic.contains(p)).collect();
        if let Some(only) = &self.args.topic.only {
            let last = topic.partitions.len() as i32 - 1;
            if let Some(partition) = only.iter().copied().find(|p| *p > last) {
                let topic = topic.name;
                return Err(ClientError::UnknownPartition {
                    topic,
                    partition,
                    last,
                }
                .into());
            }
        }
        self.begin(&partitions)?;
        while !self.is_done() {
            self.step(ui)?;
            ui.flush()?;
        }
        Ok(())
    }

    fn in_group(&mut self, group: &str, ui: &mut Ui) -> Result<(), Failure> {
        let options = MemberOptions::new(group, vec![self.args.topic.topic.clone()]);
        let mut member = GroupMember::join(&mut self.client, options)?;
        let mut committed = self.take_over(&member, group, ui)?;
        let mut committed_at = Instant::now();
        let result = loop {
            if self.is_done() {
                break Ok(());
            }
            // The commit below is for what was read also when reading itself goes wrong.
            let stepped = self.step(ui).and_then(|()| ui.flush());
            if stepped.is_err() {
                break stepped;
            }
            let mut rebalance = member.poll(&mut self.client)?;
            let due = committed_at.elapsed() >= COMMIT_EVERY || rebalance == Rebalance::Needed;
            if due && rebalance != Rebalance::Lost {
                let outcome = self.commit(&mut member, &mut committed)?;
                committed_at = Instant::now();
                if rebalance == Rebalance::No {
                    rebalance = outcome;
                }
            }
            if rebalance != Rebalance::No {
                member.rejoin(&mut self.client)?;
                committed = self.take_over(&member, group, ui)?;
            }
        };
        // Whoever reads our output may have gone: then the last records were not seen, and are not committed.
        if !matches!(result, Err(Failure::BrokenPipe)) {
            self.commit(&mut member, &mut committed)?;
        }
        member.leave(&mut self.client)?;
        result
    }

    /// Commits what has moved since the last time.
    fn commit(
        &mut self,
        member: &mut GroupMember,
        committed: &mut BTreeMap<TopicPartition, i64>,
    ) -> Result<Rebalance, Failure> {
        let moved = self
            .positions
            .iter()
            .filter(|(p, offset)| committed.get(*p) != Some(*offset));
        let commits: Vec<NewCommit> = moved
            .map(|(p, offset)| NewCommit::new(p.clone(), *offset))
            .collect();
        let outcome = member.commit(&mut self.client, &commits)?;
        if outcome == Rebalance::No {
            committed.clone_from(&self.positions);
        }
        Ok(outcome)
    }

    /// Begins with the partitions that the group gave this member; gives what is committed of them. Where nothing is,
    /// the first commit says where reading began, so that the group has a place there too.
    fn take_over(
        &mut self,
        member: &GroupMember,
        group: &str,
        ui: &mut Ui,
    ) -> Result<BTreeMap<TopicPartition, i64>, Failure> {
        let partitions = member.assignment().to_vec();
        if partitions.is_empty() {
            ui.note("No partition is left for this member; it waits in case another one goes.");
        }
        let committed = self.client.committed(group, Some(&partitions))?;
        let fresh: Vec<_> = partitions
            .iter()
            .filter(|p| !committed.contains_key(*p))
            .cloned()
            .collect();
        self.begin(&fresh)?;
        let committed: BTreeMap<TopicPartition, i64> = committed
            .into_iter()
            .map(|(partition, committed)| (partition, committed.offset))
            .collect();
        self.positions.extend(committed.clone());
        self.positions
            .retain(|partition, _| partitions.contains(partition));
        if self.args.stop_at_end {
            let bounds = distance::bounds(&mut self.client, &partitions)?;
            self.stops = bounds
                .into_iter()
                .map(|(partition, (_, end))| (partition, end))
                .collect();
        }
        Ok(committed)
    }

    /// Puts the partitions where `--from` says.
    fn begin(&mut self, partitions: &[TopicPartition]) -> Result<(), Failure> {
        let bounds = distance::bounds(&mut self.client, partitions)?;
        let times = match self.args.from {
            Place::Time(ms) => {
                let at: Vec<_> = partitions
                    .iter()
                    .map(|p| (p.clone(), ListAt::Time(ms)))
                    .collect();
                self.client.list_offsets(&at)?.into_iter().collect()
            }
            _ => BTreeMap::new(),
        };
        for (partition, (start, end)) in bounds {
            let offset = match self.args.from {
                Place::Earliest => start,
                Place::End => end,
                Place::Offset(offset) => offset.clamp(start, end),
                Place::By(by) => end.saturating_add(by).clamp(start, end),
                Place::Time(_) => times
                    .get(&partition)
                    .and_then(|found| found.offset)
                    .unwrap_or(end),
            };
            self.positions.insert(partition.clone(), offset);
            self.stops.insert(partition, end);
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        let at_end = || {
            let stop = |partition| self.stops.get(partition).copied().unwrap_or(i64::MAX);
            self.args.stop_at_end
                && self
                    .positions
                    .iter()
                    .all(|(partition, offset)| *offset >= stop(partition))
        };
        self.left == 0 || self.interrupt.is_set() || at_end()
    }

    /// Fetches once and writes what came.
    fn step(&mut self, ui: &mut Ui) -> Result<(), Failure> {
        let wanted = |(partition, offset): (&TopicPartition, &i64)| {
            let stop = self.stops.get(partition).filter(|_| self.args.stop_at_end);
            let from = FetchFrom {
                partition: partition.clone(),
                offset: *offset,
            };
            stop.is_none_or(|stop| offset < stop).then_some(from)
        };
        let from: Vec<FetchFrom> = self.positions.iter().filter_map(wanted).collect();
        if from.is_empty() {
            std::thread::sleep(Duration::from_millis(200));
            return Ok(());
        }
        for fetched in self.client.fetch(&from, FetchOptions::default())? {
            if fetched.out_of_range {
                self.back_into_range(&fetched.partition, ui)?;
            } else {
                self.write(fetched, ui)?;
            }
        }
        Ok(())
    }

    /// The offset is not in the log: says what that means, goes on where the log is.
    fn back_into_range(&mut self, partition: &TopicPartition, ui: &mut Ui) -> Result<(), Failure> {
        let bounds = distance::bounds(&mut self.client, std::slice::from_ref(partition))?;
        let Some((start, end)) = bounds.get(partition).copied() else {
            return Ok(());
        };
        let Some(offset) = self.positions.get_mut(partition) else {
            return Ok(());
        };
        if *offset < start {
            let gone = records(start - *offset);
            ui.warn(format_args!(
                "{partition}: {gone} before offset {} are gone from the log; reading on there",
                count(start)
            ));
            *offset = start;
        } else if *offset > end {
            ui.warn(format_args!(
                "{partition}: offset {} is past the log's end; reading on at its end, {}",
                count(*offset),
                count(end)
            ));
            *offset = end;
        }
        Ok(())
    }

    fn write(&mut self, fetched: Fetched, ui: &mut Ui) -> Result<(), Failure> {
        let stop = match self.args.stop_at_end {
            true => self
                .stops
                .get(&fetched.partition)
                .copied()
                .unwrap_or(i64::MAX),
            false => i64::MAX,
        };
        let mut next = fetched.next_offset;
        for record in &fetched.records {
            if self.left == 0 || record.offset >= stop {
                next = record.offset;
                break;
            }
            self.write_record(&fetched.partition, record, ui)?;
            self.left -= 1;
        }
        self.positions.insert(fetched.partition, next);
        Ok(())
    }

    fn write_record(
        &self,
        partition: &TopicPartition,
        record: &Record,
        ui: &mut Ui,
    ) -> Result<(), Failure> {
        if self.args.json {
            return ui.json_line(&JsonRecord::new(partition, record));
        }
        if self.args.timestamps {
            let timestamp = if record.timestamp < 0 {
                "-".into()
            } else {
                time::format(record.timestamp)
            };
            ui.bytes(timestamp.as_bytes())?;
            ui.bytes(b"\t")?;
        }
        if self.args.offsets {
            ui.bytes(format!("{partition}@{}\t", record.offset).as_bytes())?;
        }
        if self.args.keys {
            ui.bytes(record.key.as_deref().unwrap_or_default())?;
            ui.bytes(b"\t")?;
        }
        ui.bytes(record.value.as_deref().unwrap_or_default())?;
        ui.bytes(b"\n")
    }
}

/// A record for scripts. The field names stay as they are.
#[derive(Debug, Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: i64,
    key: Option<Blob<'a>>,
    value: Option<Blob<'a>>,
    headers: Vec<(Blob<'a>, Option<Blob<'a>>)>,
}

impl<'a> JsonRecord<'a> {
    fn new(partition: &'a TopicPartition, record: &'a Record) -> Self {
        let blob = |bytes: &'a Option<bytes::Bytes>| bytes.as_deref().map(Blob);
        Self {
            topic: &partition.topic,
            partition: partition.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: blob(&record.key),
            value: blob(&record.value),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| (Blob(name), blob(value)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_for_scripts_reads_like_this() {
        let record = Record {
            offset: 7,
            timestamp: 1_795_437_000_000,
            key: None,
            value: Some("a \"b\"".into()),
            headers: vec![("h".into(), Some(vec![0xff].into()))],
        };
        let partition = TopicPartition::new("t", 1);
        let json = serde_json::to_string(&JsonRecord::new(&partition, &record)).unwrap();
        let expected = r#"{"topic":"t","partition":1,"offset":7,"timestamp":1795437000000,"key":null,"value":"a \"b\"","headers":[["h",{"base64":"/w=="}]]}"#;
        assert_eq!(json, expected);
    }
}
