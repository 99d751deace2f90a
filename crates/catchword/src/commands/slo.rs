//! `catchword slo`: how close to its writers a group should be, and whether it is.

use catchword_client::Client;

use super::setting;
use crate::args::Cluster;
use crate::commands::lag;
use crate::failure::Failure;
use crate::plane::{Api, span, when};
use crate::table::records;
use crate::time;
use crate::ui::Ui;

/// The keys on a group.
const AGE: &str = "lag.objective.age.ms";
const RECORDS: &str = "lag.objective.records";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The broker looks at the group every 10 s (lag.check.interval.ms) and says how it is:

OK      it is as close as it should be
WARN    it is not, and reads on: catching up, or falling behind
STALL   it commits, but the same place again and again
STOP    it has committed nothing for as long as --age (30 s to 10 min): not committing, though it
        has members; or gone
REWIND  it went back within the last 10 min, and has not read on to where it was

catchword lag and top show it, Prometheus has it as catchword_consumergroup_status, the broker's log
has each change, and so has lag.webhook.url (catchword serve --set lag.webhook.url=http://...):
there {cluster_id, at_ms, was, group} is posted as JSON, group as in /v1/lag with its new status in
group.objective; twice more if it is not taken.

What is given is the whole objective: --age alone takes a --behind of before away. Kafka's own tools
can set it too, as lag.objective.age.ms and lag.objective.records of the group.

JSON: {group, age_ms, records, status, why, since_ms, partition: {topic, partition}}; status is null
until the broker has looked.

Examples:
  catchword slo billing --age 60s
  catchword slo billing --age 5m --behind 100000
  catchword slo billing
  catchword slo billing off")]
pub(crate) struct Args {
    /// The group.
    group: String,
    /// off takes the objective away; without it and options it says how the group is.
    #[arg(value_name = "off", value_parser = ["off"], conflicts_with_all = ["age", "behind"])]
    off: Option<String>,
    /// How long the oldest unread record may wait, such as 60s, 5m or 1h.
    #[arg(long, value_name = "TIME", value_parser = age)]
    age: Option<i64>,
    /// How many records may be unread in a partition.
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(i64).range(0..))]
    behind: Option<i64>,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

fn age(text: &str) -> Result<i64, String> {
    let read = time::parse_duration(text).filter(|ms| *ms > 0);
    read.ok_or_else(|| format!("{text:?} is no time such as 60s, 5m or 1h"))
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    // Says what to do where the broker is not ours.
    let api = Api::find(&mut client)?;
    let group = &args.group;
    if args.off.is_some() || args.age.is_some() || args.behind.is_some() {
        let changes = [(AGE, args.age), (RECORDS, args.behind)];
        let changes = changes.map(|(key, value)| (key, value.map(|n| n.to_string())));
        setting::put(&mut client, &api, group, &changes)?;
    }
    let (age_ms, most) = held_to(&mut client, &api, group)?;
    // The group may not be there yet; and what was said of another objective says nothing of this one.
    let told = lag::ask(&api, Some(group)).ok();
    let told = told.and_then(|lags| lags.groups.into_iter().next()?.objective);
    let told = told.filter(|told| (told.age_ms, told.records) == (age_ms, most));
    if args.json {
        let told = told.as_ref();
        return ui.json(&serde_json::json!({
            "group": group,
            "age_ms": age_ms,
            "records": most,
            "status": told.map(|told| &told.status),
            "why": told.map(|told| &told.why),
            "since_ms": told.map(|told| told.since_ms),
            "partition": told.map(|told| &told.partition),
        }));
    }
    let limits = [
        age_ms.map(|ms| format!("no record may wait for longer than {}", span(ms))),
        most.map(|most| {
            format!(
                "no more than {} may be unread in a partition",
                records(most)
            )
        }),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() {
        return ui.line(format_args!("Group {group} has no lag objective."));
    }
    let status = match told {
        None => "The broker has not looked yet.".to_owned(),
        Some(told) => {
            let at = told.partition.as_ref();
            let at = at.map_or_else(String::new, |p| format!(" in {}:{}", p.topic, p.partition));
            format!("{}{at}, since {}", told.words(), when(told.since_ms))
        }
    };
    ui.line(format_args!("Of group {group} {}.", limits.join(", and ")))?;
    ui.line(status)
}

/// The limits that are set, of age and of records.
fn held_to(
    client: &mut Client,
    api: &Api,
    group: &str,
) -> Result<(Option<i64>, Option<i64>), Failure> {
    let settings = setting::all(client, api, group)?;
    let limit = |key: &str| {
        let value: i64 = settings.get(key)?.parse().ok()?;
        (value >= 0).then_some(value)
    };
    Ok((limit(AGE), limit(RECORDS)))
}
