//! `catchword protect`: a guard against resets and deletions.

use clap::ValueEnum;

use super::setting;
use crate::args::Cluster;
use crate::failure::Failure;
use crate::plane::Api;
use crate::ui::Ui;

/// The key on a group.
pub(super) const KEY: &str = "offsets.protect";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It concerns whoever is no member of the group, with whatever tool: kafka-consumer-groups
--reset-offsets, --delete, rewind, undo. Members read on and commit as ever; consumers that assign
themselves their partitions count as outsiders. What is refused is refused whole, as
POLICY_VIOLATION. Expiry is another matter: see catchword keep.

JSON: {group, protection}

Examples:
  catchword protect billing
  catchword protect billing forward-only
  catchword protect billing off")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// What to protect it from; without it, it says what holds.
    #[arg(value_enum)]
    protection: Option<Protection>,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Protection {
    /// Its offsets are not moved back, nor deleted.
    ForwardOnly,
    /// Its offsets are not moved at all.
    Frozen,
    /// No protection.
    Off,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    // Says what to do where the broker is not ours.
    let api = Api::find(&mut client)?;
    if let Some(protection) = args.protection {
        let value = match protection {
            Protection::ForwardOnly => Some("forward-only".to_owned()),
            Protection::Frozen => Some("frozen".to_owned()),
            Protection::Off => None,
        };
        setting::put(&mut client, &api, &args.group, &[(KEY, value)])?;
    }
    let protection = setting::get(&mut client, &api, &args.group, KEY)?;
    if args.json {
        let group = &args.group;
        return ui.json(&serde_json::json!({"group": group, "protection": protection}));
    }
    let words = match protection.as_str() {
        "forward-only" => "may be moved on by everybody, and moved back or deleted by members only",
        "frozen" => "are moved by members only",
        _ => "are not protected",
    };
    ui.line(format_args!("Offsets of group {} {words}.", args.group))?;
    let groups = client.list_groups()?;
    if !groups.iter().any(|listed| listed.group == args.group) {
        ui.note("There is no such group yet; `catchword groups` lists the groups there are.");
    }
    Ok(())
}
