//! `catchword pin`: committed offsets that stay.

use catchword_client::Client;

use super::setting::{self, AT_A_GUARDED_KAFKA};
use crate::args::Cluster;
use crate::failure::Failure;
use crate::plane::Api;
use crate::ui::Ui;

/// The key on a group.
const KEY: &str = "offsets.pin";
/// All of a group's committed offsets.
const ALL: &str = "*";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A pinned offset never expires, and nobody can delete it or its group, with whatever tool, until the pin
is taken off: what is refused is refused whole, as POLICY_VIOLATION. It is moved as ever; against that
there is catchword protect. Only the deletion of its topic takes it away. What is pinned need not be
there yet.

JSON: {group, pins: [*|TOPIC|TOPIC:PARTITION]}

Examples:
  catchword pin billing
  catchword pin billing orders:3
  catchword pin billing --list
  catchword pin billing orders:3 --off
  catchword pin billing --off")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// A topic, or one partition of it; without it, all that the group has.
    #[arg(value_name = "TOPIC[:PARTITION]")]
    what: Option<String>,
    /// Take the pin off; without a topic, all of the group's.
    #[arg(long)]
    off: bool,
    /// Only say what is pinned.
    #[arg(long, conflicts_with_all = ["off", "what"])]
    list: bool,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    // Says what to do where the broker is not ours and would not know the key.
    let api = Api::find(&mut client)?;
    let group = &args.group;
    let mut pins = pins(&mut client, &api, group)?;
    let before = pins.clone();
    match (&args.what, args.off) {
        (Some(what), false) => add(&mut pins, what),
        (Some(what), true) => take_off(&mut pins, group, what)?,
        (None, true) => pins.clear(),
        (None, false) if args.list => {}
        (None, false) => add(&mut pins, ALL),
    }
    if pins != before {
        let value = (!pins.is_empty()).then(|| pins.join(","));
        setting::put(&mut client, &api, group, &[(KEY, value)])?;
    }
    if args.json {
        return ui.json(&serde_json::json!({"group": group, "pins": pins}));
    }
    if api.is_guardian() && !pins.is_empty() {
        return ui.line(format_args!(
            "Pinned of group {group}: {}. {AT_A_GUARDED_KAFKA}",
            pins.join(", ")
        ));
    }
    match pins.as_slice() {
        [] => ui.line(format_args!("Nothing of group {group} is pinned.")),
        [all] if all == ALL => ui.line(format_args!(
            "All committed offsets of group {group} are pinned: they neither expire nor can be deleted."
        )),
        some => ui.line(format_args!(
            "Pinned of group {group}: {}. These committed offsets neither expire nor can be deleted.",
            some.join(", ")
        )),
    }
}

fn pins(client: &mut Client, api: &Api, group: &str) -> Result<Vec<String>, Failure> {
    let text = setting::get(client, api, group, KEY)?;
    let pins = text.split(',').map(str::trim);
    Ok(pins
        .filter(|pin| !pin.is_empty())
        .map(str::to_owned)
        .collect())
}

fn topic_of(pin: &str) -> &str {
    pin.rsplit_once(':').map_or(pin, |(topic, _)| topic)
}

/// What the new pin covers need not be said beside it.
fn add(pins: &mut Vec<String>, what: &str) {
    let covers = |pin: &str, other: &str| pin == ALL || pin == other || pin == topic_of(other);
    if pins.iter().any(|pin| covers(pin, what)) {
        return;
    }
    pins.retain(|pin| !covers(what, pin));
    pins.push(what.to_owned());
}

fn take_off(pins: &mut Vec<String>, group: &str, what: &str) -> Result<(), Failure> {
    let wider =
        |pin: &&String| *pin == ALL && what != ALL || *pin == topic_of(what) && *pin != what;
    if let Some(wider) = pins.iter().find(wider) {
        return Err(Failure::failed(format!(
            "{what} of group {group:?} is pinned with {wider:?}; take that off, and pin what is to stay: catchword pin {group} {wider:?} --off"
        )));
    }
    pins.retain(|pin| pin != what && topic_of(pin) != what);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_said_once_and_taken_off_as_they_were_put_on() {
        let mut pins = Vec::new();
        for what in ["pay:1", "orders:3", "orders:4", "orders:3"] {
            add(&mut pins, what);
        }
        assert_eq!(pins, ["pay:1", "orders:3", "orders:4"]);
        add(&mut pins, "orders");
        add(&mut pins, "orders:9");
        assert_eq!(pins, ["pay:1", "orders"]);
        assert!(take_off(&mut pins, "g", "orders:3").is_err());
        take_off(&mut pins, "g", "orders").unwrap();
        assert_eq!(pins, ["pay:1"]);
        take_off(&mut pins, "g", "pay").unwrap();
        assert!(pins.is_empty());
        add(&mut pins, "*");
        assert!(take_off(&mut pins, "g", "pay").is_err());
        take_off(&mut pins, "g", "*").unwrap();
        assert!(pins.is_empty());
    }
}
