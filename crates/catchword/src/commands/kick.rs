//! `catchword kick`: sends a member of a group away.

use serde::Deserialize;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{Api, read};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
For a consumer that hangs while its heartbeats go on: its partitions go to the others at once, and
what it still wants to commit is refused. One that is alive hears of it and rejoins; stop it first if
it is not to come back. `catchword show GROUP` names the members.

JSON: {group, applied, member: {member_id, instance_id, client_id, host}}

Examples:
  catchword kick billing consumer-billing-1-5c7f0e0a-8c1d
  catchword kick billing instance-3 --yes                    by its group.instance.id")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// Its member id or group.instance.id.
    member: String,
    /// Do it.
    #[arg(long, short)]
    yes: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

#[derive(Debug, Deserialize)]
struct Member {
    member_id: String,
    client_id: String,
    host: String,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let api = Api::find(&mut args.cluster.connect()?)?;
    let (group, member) = (encoded(&args.group), encoded(&args.member));
    let path = format!("/v1/groups/{group}/members/{member}");
    let document = api.delete(&path, args.yes)?;
    if args.json {
        return ui.json(&document);
    }
    let Member {
        member_id,
        client_id,
        host,
    } = read(&document["member"])?;
    let who = format!("{member_id} ({client_id} on {host})");
    if args.yes {
        ui.line(ui.green(&format!("Done: {who} was sent away.")))?;
        ui.note("If it is alive it rejoins; there is nothing to undo.");
    } else {
        ui.line(format_args!("Member of group {:?}: {who}", args.group))?;
        ui.note("Nothing was changed; --yes sends it away.");
    }
    Ok(())
}
