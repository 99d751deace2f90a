//! `catchword hold`: retention waits for a group.

use clap::ValueEnum;

use super::setting;
use crate::args::Cluster;
use crate::failure::Failure;
use crate::plane::Api;
use crate::ui::Ui;

/// The key on a group.
const KEY: &str = "retention.hold";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Records that the group has still to read stay past retention.ms and retention.bytes, in partitions where
it has a committed offset, but no longer and no more than the topic's keys retention.hold.max.ms (7d) and
retention.hold.max.bytes (10 GiB a partition) let them. The broker's log, catchword show and the metric
catchword_retention_held_bytes say what is kept, and for whom. A group whose offsets expire holds nothing
any more: see catchword keep and catchword pin.

JSON: {group, hold}

Examples:
  catchword hold billing on
  catchword hold billing
  catchword topics config orders --set retention.hold.max.ms=2592000000")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// Whether retention waits for it; without it, it says what holds.
    #[arg(value_enum)]
    hold: Option<Wait>,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wait {
    /// Retention waits.
    On,
    /// Retention goes by the topic alone.
    Off,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    // Says what to do where the broker is not ours.
    let api = Api::find(&mut client)?;
    if let Some(hold) = args.hold {
        let value = (hold == Wait::On).then(|| "true".to_owned());
        setting::put(&mut client, &api, &args.group, &[(KEY, value)])?;
    }
    let holds = setting::get(&mut client, &api, &args.group, KEY)? == "true";
    if args.json {
        let group = &args.group;
        return ui.json(&serde_json::json!({"group": group, "hold": holds}));
    }
    let words = match holds {
        true => "waits, within bounds, until",
        false => "does not wait until",
    };
    ui.line(format_args!(
        "Retention {words} group {} has read.",
        args.group
    ))
}
