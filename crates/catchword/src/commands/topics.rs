//! `catchword topics`: list, create, describe, delete and configure topics.

mod describe;
mod list;

use catchword_client::{
    AlterConfig, Client, ConfigEntry, NewTopic, Resource, Topic, TopicPartition,
};
use clap::Subcommand;
use serde::Serialize;

use crate::args::Cluster;
use crate::commands::distance;
use crate::failure::Failure;
use crate::table::{Align, Table, records};
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  catchword topics list
  catchword topics create orders --partitions 6 --config retention.ms=86400000
  catchword topics describe orders
  catchword topics config orders --set cleanup.policy=compact --unset retention.ms
  catchword topics delete orders --yes")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List topics.
    #[command(after_help = "JSON: a list of {topic, id, internal, partitions, replicas, records}.")]
    List {
        #[command(flatten)]
        cluster: Cluster,
        /// The broker's own topics too, as __consumer_offsets.
        #[arg(long)]
        internal: bool,
        /// JSON for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Create a topic.
    Create {
        /// Its name.
        topic: String,
        /// How many partitions; without it as the broker's num.partitions says.
        #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        partitions: Option<i32>,
        /// How many replicas; without it as the broker's default.replication.factor says.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
        replicas: Option<i16>,
        /// A configuration key of the topic; may be given again and again.
        #[arg(long, short, value_name = "KEY=VALUE", value_parser = key_value)]
        config: Vec<(String, String)>,
        /// It is well if the topic is there already.
        #[arg(long)]
        if_not_exists: bool,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Show a topic: its partitions, their offsets, its configuration.
    #[command(after_help = "\
JSON: {topic, id, internal, partitions: [{partition, leader, replicas, in_sync, log_start, end}],
  config: {KEY: VALUE}}; config has what is set on the topic itself.")]
    Describe {
        /// Its name.
        topic: String,
        #[command(flatten)]
        cluster: Cluster,
        /// JSON for scripts.
        #[arg(long)]
        json: bool,
    },
    /// Delete topics with all their records; says what would go unless told --yes.
    Delete {
        /// Their names.
        #[arg(required = true)]
        topics: Vec<String>,
        /// Do it.
        #[arg(long, short)]
        yes: bool,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Show or change a topic's configuration.
    #[command(after_help = "\
JSON: a list of {key, value, source}; source is \"topic\" for what is set on the topic itself.
docs/config.md has all keys.")]
    Config {
        /// The topic.
        topic: String,
        /// Set a key; may be given again and again.
        #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
        set: Vec<(String, String)>,
        /// Let a key take its default again.
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        #[command(flatten)]
        cluster: Cluster,
        /// JSON for scripts.
        #[arg(long)]
        json: bool,
    },
}

/// Reads `KEY=VALUE`.
fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.to_owned()))
}

pub(crate) fn run(args: Args, ui: &mut Ui) -> Result<(), Failure> {
    match args.command {
        Command::List {
            cluster,
            internal,
            json,
        } => list::list(&mut cluster.connect()?, internal, json, ui),
        Command::Create {
            topic,
            partitions,
            replicas,
            config,
            if_not_exists,
            cluster,
        } => {
            let new = NewTopic {
                name: topic,
                partitions,
                replication: replicas,
                configs: config,
                validate_only: false,
            };
            create(&mut cluster.connect()?, &new, if_not_exists, ui)
        }
        Command::Describe {
            topic,
            cluster,
            json,
        } => describe::describe(&mut cluster.connect()?, &topic, json, ui),
        Command::Delete {
            topics,
            yes,
            cluster,
        } => delete(&mut cluster.connect()?, &topics, yes, ui),
        Command::Config {
            topic,
            set,
            unset,
            cluster,
            json,
        } => {
            let set = set
                .into_iter()
                .map(|(key, value)| AlterConfig::Set(key, value));
            let changes: Vec<_> = set
                .chain(unset.into_iter().map(AlterConfig::Delete))
                .collect();
            configure(&mut cluster.connect()?, &topic, &changes, json, ui)
        }
    }
}

fn places(topic: &Topic) -> impl Iterator<Item = TopicPartition> + '_ {
    topic
        .partitions
        .iter()
        .map(|partition| TopicPartition::new(&topic.name, partition.index))
}

fn id(topic: &Topic) -> Option<String> {
    (!topic.id.is_zero()).then(|| topic.id.to_string())
}

fn create(
    client: &mut Client,
    new: &NewTopic,
    if_not_exists: bool,
    ui: &mut Ui,
) -> Result<(), Failure> {
    match client.create_topic(new) {
        Err(error)
            if if_not_exists
                && error.code() == Some(catchword_wire::ErrorCode::TopicAlreadyExists) =>
        {
            return ui.line(format_args!("Topic {} was there already.", new.name));
        }
        other => other?,
    }
    let topic = client.topic(&new.name, true)?;
    let partitions = match topic.partitions.len() {
        1 => "1 partition".into(),
        n => format!("{n} partitions"),
    };
    ui.line(format_args!(
        "Created topic {} with {partitions}.",
        new.name
    ))
}

fn delete(client: &mut Client, names: &[String], yes: bool, ui: &mut Ui) -> Result<(), Failure> {
    for name in names {
        let topic = client.topic(name, false)?;
        if yes {
            client.delete_topic(name)?;
            ui.line(format_args!("Deleted topic {name}."))?;
        } else {
            let bounds = distance::bounds(client, &places(&topic).collect::<Vec<_>>())?;
            let total: i64 = bounds.values().map(|(start, end)| end - start).sum();
            ui.line(format_args!(
                "Topic {name} would be deleted with {} and every group's bookmarks in it.",
                records(total)
            ))?;
        }
    }
    if !yes {
        ui.note("Nothing was changed; --yes does it. It cannot be undone.");
    }
    Ok(())
}

#[derive(Debug, Serialize)]
struct Config<'a> {
    key: &'a str,
    value: Option<&'a str>,
    source: &'a str,
}

fn configure(
    client: &mut Client,
    topic: &str,
    changes: &[AlterConfig],
    json: bool,
    ui: &mut Ui,
) -> Result<(), Failure> {
    client.topic(topic, false)?;
    let resource = Resource::topic(topic);
    if !changes.is_empty() {
        client.alter_configs(&resource, changes)?;
    }
    let configs = client.describe_configs(&resource)?;
    let changed = |config: &&ConfigEntry| {
        changes.is_empty()
            || changes.iter().any(|change| match change {
                AlterConfig::Set(key, _) | AlterConfig::Delete(key) => *key == config.name,
            })
    };
    let rows: Vec<Config<'_>> = configs
        .iter()
        .filter(changed)
        .map(|c| Config {
            key: &c.name,
            value: c.value.as_deref(),
            source: c.source_word(),
        })
        .collect();
    if json {
        return ui.json(&rows);
    }
    let mut table = Table::new(&[
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("SET ON", Align::Left),
    ]);
    for row in rows {
        let value = row.value.unwrap_or("(hidden)");
        table.row(vec![
            row.key.to_owned(),
            value.to_owned(),
            row.source.to_owned(),
        ]);
    }
    ui.table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_key_and_value() {
        assert_eq!(key_value("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(key_value(" a =b c"), Ok(("a".into(), "b c".into())));
        assert!(key_value("a").is_err());
    }
}
