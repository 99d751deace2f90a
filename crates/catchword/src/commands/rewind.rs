//! `catchword rewind`: moves a group's committed offsets to a place.

use std::collections::{BTreeMap, BTreeSet};

use catchword_client::{Client, ClientError, Committed, ListAt, TopicPartition};

use crate::args::Cluster;
use crate::commands::distance::{self, Bounds};
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::failure::Failure;
use crate::place::{Partitions, Place};
use crate::time;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --yes nothing is changed: the table shows, for each partition, where the group is now, where
it would be, what it would read again or skip, and the first record there. Offsets outside of the
log are brought to its start or end. Times are those of the records, and need their zone:
2026-11-23T13:30+01:00, 2026-11-23T12:30Z, \"2h ago\".

The sum tells the bytes, and how long the group takes to read them again at its own pace, where the
broker counts (Catchword does).

JSON: {group, applied, takes_ms, partitions: [{topic, partition, now, then, effect, records, bytes,
  first_record_timestamp, remark}]}; effect is again, skipped, none or new; records are offsets, and
  bytes and takes_ms null, where the broker does not count.

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
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let plan = plan(&mut client, args)?;
    carry_out(&mut client, &[plan], args.how, ui)
}

/// Which partitions move where.
fn plan(client: &mut Client, args: &Args) -> Result<Plan, Failure> {
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
    let bounds = distance::bounds(client, &partitions)?;
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
    let targets = targets(args.to, &committed, &bounds, &times);
    Plan::of(client, &args.group, &committed, &bounds, &targets)
}

fn targets(
    to: Place,
    committed: &BTreeMap<TopicPartition, Committed>,
    bounds: &Bounds,
    times: &BTreeMap<TopicPartition, i64>,
) -> Targets {
    let one = |(partition, (start, end)): (&TopicPartition, &(i64, i64))| {
        let now = committed.get(partition).map(|committed| committed.offset);
        let target = match to {
            Place::Earliest => Target::at(*start),
            Place::End => Target::at(*end),
            Place::Offset(offset) => Target::at(offset),
            Place::By(by) => Target::at(now.unwrap_or(*end).saturating_add(by)),
            Place::Time(ms) => match times.get(partition) {
                Some(offset) => Target::at(*offset),
                None => Target {
                    remark: Some(format!("no record at or after {}", time::format(ms))),
                    ..Target::at(*end)
                },
            },
        };
        (partition.clone(), target)
    };
    bounds.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_an_offset_in_each_partition() {
        let partition = |n: i32| TopicPartition::new("orders", n);
        let committed = Committed {
            offset: 100,
            leader_epoch: -1,
            metadata: String::new(),
        };
        let committed = BTreeMap::from([(partition(0), committed)]);
        let bounds = BTreeMap::from([(partition(0), (50, 1000)), (partition(1), (0, 20))]);
        let times = BTreeMap::from([(partition(0), 70)]);
        let of = |to: Place| {
            let targets = targets(to, &committed, &bounds, &times);
            [0, 1].map(|n| targets[&partition(n)].offset)
        };
        assert_eq!(of(Place::Earliest), [50, 0]);
        assert_eq!(of(Place::End), [1000, 20]);
        assert_eq!(of(Place::Offset(7)), [7, 7]);
        assert_eq!(of(Place::By(-30)), [70, -10]);
        let time = Place::Time(1_795_437_000_000);
        assert_eq!(of(time), [70, 20]);
        let remark = &targets(time, &committed, &bounds, &times)[&partition(1)].remark;
        assert_eq!(
            remark.as_deref(),
            Some("no record at or after 2026-11-23T12:30:00.000Z")
        );
    }
}
