//! `catchword keep`: how long a group's committed offsets are kept.

use catchword_client::{AlterConfig, Client, Resource, ResourceType};
use serde::Deserialize;
use serde_json::{Value, json};

use super::setting::{self, AT_A_GUARDED_KAFKA};
use crate::args::Cluster;
use crate::failure::Failure;
use crate::http::encoded;
use crate::plane::{Api, read, when};
use crate::table::{Align, Table};
use crate::time;
use crate::ui::Ui;

/// The key on a group, as on the broker.
const OWN: &str = "offsets.retention.minutes";
/// The broker's key with the rules for patterns.
const RULES: &str = "offsets.retention.rules";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Offsets of a group that has no members are kept for offsets.retention.minutes (7 days) after the last
commit or after the last member left, whichever was later. Here a group, or all groups that fit a
pattern, get another time. What is set on a group counts before patterns, and those in the order in
which they were given. Without a time it says what holds, and when each offset expires.

Kafka's own tools can set it too: kafka-configs --entity-type groups --entity-name billing
--alter --add-config offsets.retention.minutes=-1.

JSON: {group, retention_ms, rule, pattern, partitions: [{topic, partition, expires_at_ms}]}; rule is
group, pattern or default; null is never.

Examples:
  catchword keep billing
  catchword keep billing never
  catchword keep 'billing-*' 90d
  catchword keep billing default")]
pub(crate) struct Args {
    /// The group, or a pattern: * stands for any characters.
    group: String,
    /// For how long: never (they never expire), a time such as 30d or 12h, default.
    #[arg(value_name = "never|TIME|default")]
    time: Option<Keep>,
    /// JSON for scripts.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    cluster: Cluster,
}

/// How long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Forever,
    Minutes(i32),
    Default,
}

impl std::str::FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => return Ok(Self::Forever),
            "default" => return Ok(Self::Default),
            _ => {}
        }
        time::parse_duration(text)
            .and_then(|ms| i32::try_from(ms / 60_000).ok())
            .filter(|minutes| *minutes > 0)
            .map(Self::Minutes)
            .ok_or_else(|| format!("{text:?} is neither never, default nor a time of a minute at least, such as 30d or 12h"))
    }
}

impl Keep {
    /// What is told of a group that does not exist yet. How long others are kept is not known here.
    fn of_no_group(self, group: &str) -> Value {
        let mut told = json!({"group": group, "pattern": null, "partitions": []});
        match self {
            Self::Default => told["rule"] = "default".into(),
            Self::Forever | Self::Minutes(_) => {
                let minutes = self.minutes().filter(|minutes| *minutes >= 0);
                told["rule"] = "group".into();
                told["retention_ms"] = json!(minutes.map(|minutes| i64::from(minutes) * 60_000));
            }
        }
        told
    }

    /// The value of Kafka's key.
    fn minutes(self) -> Option<i32> {
        match self {
            Self::Forever => Some(-1),
            Self::Minutes(minutes) => Some(minutes),
            Self::Default => None,
        }
    }
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let mut client = args.cluster.connect()?;
    let is_pattern = args.group.contains('*');
    if let Some(keep) = args.time {
        // Says what to do where the broker is not ours and would not know the keys.
        let api = Api::find(&mut client)?;
        match is_pattern {
            true if api.is_guardian() => return Err(told_at_the_start(&args.group)),
            true => set_rule(&mut client, &args.group, keep)?,
            false => set_own(&mut client, &api, &args.group, keep)?,
        }
    }
    if is_pattern {
        return list_rules(&mut client, args, ui);
    }
    let api = Api::find(&mut client)?;
    let asked = api.get(&format!("/v1/groups/{}/expiry", encoded(&args.group)));
    // What is set on a group may be there before the group.
    let document = match (asked, args.time) {
        (Err(_), Some(keep)) if args.json => return ui.json(&keep.of_no_group(&args.group)),
        (Err(_), Some(_)) => {
            return ui.line(format_args!(
                "Group {} does not exist yet; it will be kept so.",
                args.group
            ));
        }
        (asked, _) => asked?,
    };
    match args.json {
        true => ui.json(&document),
        false if api.is_guardian() => show_guarded(&read(&document)?, ui),
        false => show(&read(&document)?, ui),
    }
}

fn set_own(client: &mut Client, api: &Api, group: &str, keep: Keep) -> Result<(), Failure> {
    let minutes = keep.minutes().map(|minutes| minutes.to_string());
    setting::put(client, api, group, &[(OWN, minutes)])
}

/// All brokers: the rules are the cluster's.
fn cluster() -> Resource {
    Resource {
        kind: ResourceType::Broker,
        name: String::new(),
    }
}

fn rules(client: &mut Client) -> Result<Vec<String>, Failure> {
    let configs = client.describe_configs(&cluster())?;
    let value = configs.into_iter().find(|entry| entry.name == RULES);
    let text = value.and_then(|entry| entry.value).unwrap_or_default();
    let rules = text
        .split(',')
        .map(str::trim)
        .filter(|rule| !rule.is_empty());
    Ok(rules.map(str::to_owned).collect())
}

fn told_at_the_start(pattern: &str) -> Failure {
    Failure::failed(format!(
        "a guardian is told of patterns when it starts: catchword guard --set '{RULES}={pattern}:-1'. Nothing was changed; `catchword keep GROUP never` works at any time."
    ))
}

/// A pattern that is there already keeps its place among the others.
fn set_rule(client: &mut Client, pattern: &str, keep: Keep) -> Result<(), Failure> {
    if pattern.contains(',') {
        return Err(Failure::Usage("a pattern cannot have a comma".into()));
    }
    let rules = with_rule(rules(client)?, pattern, keep);
    let change = match rules.is_empty() {
        true => AlterConfig::Delete(RULES.into()),
        false => AlterConfig::Set(RULES.into(), rules.join(",")),
    };
    Ok(client.alter_configs(&cluster(), &[change])?)
}

fn with_rule(mut rules: Vec<String>, pattern: &str, keep: Keep) -> Vec<String> {
    let is_of = |rule: &String| rule.rsplit_once(':').is_some_and(|(of, _)| of == pattern);
    let at = rules.iter().position(is_of);
    match (
        keep.minutes().map(|minutes| format!("{pattern}:{minutes}")),
        at,
    ) {
        (Some(rule), Some(at)) => rules[at] = rule,
        (Some(rule), None) => rules.push(rule),
        (None, Some(at)) => drop(rules.remove(at)),
        (None, None) => {}
    }
    rules
}

fn list_rules(client: &mut Client, args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let rules = rules(client)?;
    if args.json {
        return ui.json(&rules);
    }
    if rules.is_empty() {
        return ui.line("No pattern has a time of its own.");
    }
    let mut table = Table::new(&[("GROUPS", Align::Left), ("KEPT", Align::Left)]);
    for rule in &rules {
        let (pattern, minutes) = rule.rsplit_once(':').unwrap_or((rule, ""));
        let kept = match minutes.parse::<i64>() {
            Ok(minutes @ 0..) => span(minutes * 60_000),
            _ => "for ever".into(),
        };
        table.row(vec![pattern.to_owned(), kept]);
    }
    ui.table(&table)
}

#[derive(Debug, Deserialize)]
struct Expiry {
    group: String,
    retention_ms: Option<i64>,
    rule: String,
    pattern: Option<String>,
    partitions: Vec<PartitionExpiry>,
}

#[derive(Debug, Deserialize)]
struct PartitionExpiry {
    topic: String,
    partition: i32,
    expires_at_ms: Option<i64>,
}

impl Expiry {
    /// Whose word it is.
    fn why(&self) -> String {
        match (self.rule.as_str(), &self.pattern) {
            ("group", _) => "as is set on it".into(),
            (_, Some(pattern)) => format!("as all that fit {pattern}"),
            _ => "as all others".into(),
        }
    }
}

/// Of a guarded Kafka's group: there offsets expire all the same.
fn show_guarded(expiry: &Expiry, ui: &mut Ui) -> Result<(), Failure> {
    match expiry.retention_ms {
        None => ui.line(format_args!(
            "Offsets of group {} are to stay for ever, {}. {AT_A_GUARDED_KAFKA}",
            expiry.group,
            expiry.why()
        )),
        Some(_) => show(expiry, ui),
    }
}

fn show(expiry: &Expiry, ui: &mut Ui) -> Result<(), Failure> {
    let why = expiry.why();
    let kept = match expiry.retention_ms {
        None => "never expire".into(),
        Some(ms) => format!("are kept for {} when nobody reads", span(ms)),
    };
    ui.line(format_args!(
        "Offsets of group {} {kept}, {why}.",
        expiry.group
    ))?;
    let mut table = Table::new(&[("PARTITION", Align::Left), ("EXPIRES", Align::Left)]);
    for partition in &expiry.partitions {
        let expires = match partition.expires_at_ms {
            None => "not as things are".into(),
            Some(at_ms) => {
                let left = at_ms.saturating_sub(time::now_ms()).max(0);
                format!("{} (in {})", when(at_ms), span(left))
            }
        };
        table.row(vec![
            format!("{}:{}", partition.topic, partition.partition),
            expires,
        ]);
    }
    ui.table(&table)
}

/// A span in its largest units.
fn span(ms: i64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, minutes) => format!("{minutes}min"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h {minutes}min"),
        (days, 0, _) => format!("{days}d"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_takes_its_place() {
        let rules = |keep: &[(&str, Keep)]| {
            keep.iter().fold(Vec::new(), |rules, (pattern, keep)| {
                with_rule(rules, pattern, *keep)
            })
        };
        let two = [("a*", Keep::Forever), ("b:*", Keep::Minutes(5))];
        assert_eq!(rules(&two), ["a*:-1", "b:*:5"]);
        let again = [two[0], two[1], ("a*", Keep::Minutes(7))];
        assert_eq!(rules(&again), ["a*:7", "b:*:5"]);
        let gone = [two[0], two[1], ("a*", Keep::Default), ("c*", Keep::Default)];
        assert_eq!(rules(&gone), ["b:*:5"]);
    }

    #[test]
    fn times_are_read_and_told() {
        assert_eq!("never".parse(), Ok(Keep::Forever));
        assert_eq!("30d".parse(), Ok(Keep::Minutes(43_200)));
        assert_eq!("default".parse(), Ok(Keep::Default));
        for bad in ["0d", "30", "30s", "for ever"] {
            assert!(bad.parse::<Keep>().unwrap_err().contains("30d"), "{bad}");
        }
        assert_eq!(span(43_200 * 60_000), "30d");
        assert_eq!(span(90 * 60_000), "1h 30min");
        assert_eq!(span(59_999), "0min");
        assert_eq!(span(25 * 3_600_000), "1d 1h");
    }
}
