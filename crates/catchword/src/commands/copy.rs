//! `catchword copy`: gives a group the place of another.

use catchword_client::TopicPartition;

use crate::args::Cluster;
use crate::commands::distance;
use crate::commands::moves::{How, Plan, Target, Targets, carry_out};
use crate::failure::Failure;
use crate::place::Partitions;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the clients keep beside an offset (metadata) comes along. The other group may exist; where it
has a place already, that is moved, and the table shows what this means. It must have no live
members; the first one may have some: it is only read.

JSON: as of catchword rewind.

Examples:
  catchword copy billing billing-test
  catchword copy billing billing-test --topic orders:0,1 --yes")]
pub(crate) struct Args {
    /// The group whose place it is.
    from: String,
    /// The group that is put there.
    to: String,
    /// Only this topic, or some of its partitions (TOPIC:0,1); may be given again and again.
    #[arg(long, short, value_name = "TOPIC[:PARTITIONS]")]
    topic: Vec<Partitions>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    if args.from == args.to {
        return Err(Failure::Usage(
            "a group cannot be copied onto itself".into(),
        ));
    }
    let mut client = args.cluster.connect()?;
    let is_wanted = |partition: &TopicPartition| {
        args.topic.is_empty() || args.topic.iter().any(|topic| topic.contains(partition))
    };
    let committed = client.committed(&args.from, None)?.into_iter();
    let mut targets: Targets = committed
        .filter(|(partition, _)| is_wanted(partition))
        .map(|(partition, committed)| {
            let target = Target {
                metadata: committed.metadata,
                ..Target::at(committed.offset)
            };
            (partition, target)
        })
        .collect();
    // Bookmarks of topics that are gone have nowhere to go.
    let partitions: Vec<_> = targets.keys().cloned().collect();
    let bounds = distance::bounds(&mut client, &partitions)?;
    targets.retain(|partition, _| bounds.contains_key(partition));
    if targets.is_empty() {
        return Err(Failure::failed(format!(
            "group {:?} has committed no offsets that could be copied; `catchword show {}` has those that there are",
            args.from, args.from
        )));
    }
    let plan = Plan::new(&mut client, &args.to, &targets)?;
    carry_out(&mut client, &[plan], args.how, ui)
}
