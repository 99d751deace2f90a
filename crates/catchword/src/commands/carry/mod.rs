//! `catchword carry`: takes groups' places over to another cluster, by the records that they point at.
//!
//! Offsets do not travel: a copy of a topic has other ones as soon as it began later, was compacted or was copied twice. So
//! the record that a group would read next is looked for in the other cluster, and it is told how surely it was found.

mod twin;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catchword_client::{Client, Committed, FetchFrom, FetchOptions, ListAt, TopicPartition};
use catchword_wire::batch::Record;

use crate::command_config;
use crate::commands::distance;
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::failure::Failure;
use crate::place::Partitions;
use crate::table::count;
use crate::ui::Ui;
use twin::{Mark, Search, Twin};

/// How far before a place the record that was read last is looked for: markers and compacted records leave holes.
const BEFORE: i64 = 64;
/// How many records of the other cluster are compared before one is given up for lost.
const MOST_COMPARED: usize = 500_000;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The topics must be in the other cluster already, under the same names and with as many partitions
(copied by MirrorMaker, say, with keys, values and timestamps as they were). For each partition the
record that the group reads next is looked for there, by its timestamp, key, value and headers; the
table says how it was found:
  same record      it is there, behind the one that was read last
  next record      it is there, behind another one
  last record      the group had read to the end, and what it read last is there
  by time          it is not there: the first record that is not older
  not there yet    all that is there is older: the end, as it is now
Where it is there more than once, the first one counts: read twice rather than passed over.
The group may have members in the old cluster (it is only read); in the new one it must have none.

JSON: as of catchword rewind, how it was found in `remark`; for several groups one object a line.

Examples:
  catchword carry billing --from kafka:9092 --to catchword:9092
  catchword carry billing shipping --from kafka:9092 --to catchword:9092 --yes")]
pub(crate) struct Args {
    /// The groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    /// The cluster where the groups are.
    #[arg(long, value_name = "HOST:PORT")]
    from: String,
    /// The cluster where they are to be.
    #[arg(long, value_name = "HOST:PORT")]
    to: String,
    /// How to reach the one they are in, as --command-config of other commands.
    #[arg(long, value_name = "FILE")]
    from_config: Option<PathBuf>,
    /// How to reach the one where they are to be.
    #[arg(long, value_name = "FILE")]
    to_config: Option<PathBuf>,
    /// Only this topic, or some of its partitions (TOPIC:0,1); may be given again and again.
    #[arg(long, short, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<Partitions>,
    #[command(flatten)]
    how: How,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut from = connect(&args.from, args.from_config.as_deref())?;
    let mut to = connect(&args.to, args.to_config.as_deref())?;
    let (old, new) = (from.cluster()?.id, to.cluster()?.id);
    if old.is_some() && old == new {
        return Err(Failure::Usage(
            "--from and --to are the same cluster; `catchword copy` gives a group the place of another".into(),
        ));
    }
    let mut plans = Vec::new();
    for group in &args.groups {
        let mut committed = from.committed(group, None)?;
        committed.retain(|partition, _| {
            args.topic.is_empty() || args.topic.iter().any(|topic| topic.contains(partition))
        });
        if committed.is_empty() {
            return Err(Failure::failed(format!(
                "group {group:?} has committed no such offsets in {}; `catchword show {group} --bootstrap {}` has those that there are. Nothing was changed.",
                args.from, args.from
            )));
        }
        if from
            .describe_group(group)?
            .is_some_and(|group| group.is_live())
        {
            ui.warn(format_args!(
                "warning: group {group:?} has live members in {}: its places go on moving there",
                args.from
            ));
        }
        same_partitions(&mut from, &mut to, &committed)?;
        let targets = targets(&mut from, &mut to, committed)?;
        plans.push(Plan::new(&mut to, group, &targets)?);
    }
    carry_out(&mut to, &plans, args.how, ui)
}

fn connect(bootstrap: &str, config: Option<&Path>) -> Result<Client, Failure> {
    Ok(Client::connect(command_config::options(
        bootstrap, config,
    )?)?)
}

/// Refuses topics that are cut otherwise there: keys would be in other partitions.
fn same_partitions(
    from: &mut Client,
    to: &mut Client,
    committed: &BTreeMap<TopicPartition, Committed>,
) -> Result<(), Failure> {
    let mut topics: Vec<&str> = committed.keys().map(|p| p.topic.as_str()).collect();
    topics.dedup();
    let there = to.topics()?;
    for topic in topics {
        let old = from.topic(topic, false)?.partitions.len();
        let new = there.iter().find(|one| one.name == topic);
        let new = new.ok_or_else(|| {
            Failure::failed(format!(
                "the other cluster has no topic {topic}: copy it first, or leave it out with --topic. Nothing was changed."
            ))
        })?;
        if new.partitions.len() != old {
            return Err(Failure::failed(format!(
                "topic {topic} has {old} partitions here and {} there, so its records are not where they were. Nothing was changed.",
                new.partitions.len()
            )));
        }
    }
    Ok(())
}

fn targets(
    from: &mut Client,
    to: &mut Client,
    committed: BTreeMap<TopicPartition, Committed>,
) -> Result<Targets, Failure> {
    let partitions: Vec<_> = committed.keys().cloned().collect();
    let here = distance::bounds(from, &partitions)?;
    let mut targets = Targets::new();
    for (partition, committed) in committed {
        let Some(&(start, end)) = here.get(&partition) else {
            continue;
        };
        let mark = mark(from, &partition, committed.offset.clamp(start, end), start)?;
        let (offset, found) = find(to, &partition, &mark)?;
        let mut remark = found.words().to_owned();
        if committed.offset < start {
            let lost = count(start - committed.offset);
            remark = format!("{remark}; {lost} before it were lost unread");
        }
        let target = Target {
            metadata: committed.metadata,
            remark: Some(remark),
            ..Target::at(offset)
        };
        targets.insert(partition, target);
    }
    Ok(targets)
}

/// The records at a place: the last one before it and the first one behind.
fn mark(
    client: &mut Client,
    partition: &TopicPartition,
    place: i64,
    start: i64,
) -> Result<Mark, Failure> {
    let mut mark = Mark::default();
    each(client, partition, (place - BEFORE).max(start), |record| {
        if record.offset < place {
            mark.last = Some(record.clone());
            return true;
        }
        mark.next = Some(record.clone());
        false
    })?;
    Ok(mark)
}

/// Looks for a place by its records.
fn find(
    client: &mut Client,
    partition: &TopicPartition,
    mark: &Mark,
) -> Result<(i64, Twin), Failure> {
    let at = |client: &mut Client, at| {
        let found = client.list_offsets(&[(partition.clone(), at)])?;
        Ok::<_, Failure>(found.first().and_then(|(_, found)| found.offset))
    };
    let end = at(client, ListAt::End)?.unwrap_or(0);
    let Some(oldest) = mark.oldest_ms() else {
        // There never was a record: nothing was read.
        return Ok((at(client, ListAt::Earliest)?.unwrap_or(0), Twin::Empty));
    };
    let begin = at(client, ListAt::Time(oldest))?;
    let mut search = Search::new(mark);
    if let Some(begin) = begin {
        let mut compared = 0;
        // The one before may be the last that was read, whatever the clocks of producers say.
        each(client, partition, (begin - 1).max(0), |record| {
            compared += 1;
            search.compare(record) && compared < MOST_COMPARED
        })?;
    }
    if let Some(found) = search.found() {
        return Ok(found);
    }
    let by_time = match mark.time_ms() {
        Some(time) => at(client, ListAt::Time(time))?,
        None => None,
    };
    Ok(match by_time {
        Some(offset) => (offset, Twin::Time),
        None => (end, Twin::NotYet),
    })
}

/// Shows records in order, from an offset on, until the end or until `go_on` says no.
fn each(
    client: &mut Client,
    partition: &TopicPartition,
    mut offset: i64,
    mut go_on: impl FnMut(&Record) -> bool,
) -> Result<(), Failure> {
    let options = FetchOptions {
        max_wait: Duration::ZERO,
        min_bytes: 0,
        max_bytes: 1 << 20,
        read_committed: true,
    };
    loop {
        let from = FetchFrom {
            partition: partition.clone(),
            offset,
        };
        let before = offset;
        for fetched in client.fetch(&[from], options)? {
            if fetched.out_of_range {
                // It begins later.
                offset = fetched.log_start.max(offset);
                continue;
            }
            let records = fetched.records.iter().filter(|r| r.offset >= before);
            for record in records {
                if !go_on(record) {
                    return Ok(());
                }
            }
            offset = offset.max(fetched.next_offset);
        }
        if offset == before {
            return Ok(());
        }
    }
}
