//! `catchword guard`: stands beside an Apache Kafka and remembers where its groups were.

use std::path::PathBuf;

use catchword_broker::Guarded;
use catchword_client::ClientOptions;
use catchword_config::Sources;
use catchword_config::load::Flag;

use crate::args::Cluster;
use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Follows the Kafka's __consumer_offsets as a consumer would, and keeps every move of a committed
offset in its own directory: what log, at, undo, trash and restore need. They find it by themselves
when they are given the Kafka's address, as long as it listens on 127.0.0.1:9644; elsewhere name it
by CATCHWORD_GUARDIAN=HOST:PORT.

The Kafka is only read, until somebody undoes or restores something: that is an offset commit there
(or a deletion, where there was no offset before), refused while the group has members, as Kafka
itself refuses it. The Kafka may go away and come back; the guardian may be stopped, or killed, and
goes on where it was. What Kafka has compacted or deleted before it was read cannot be known.

catchword slo, pin and keep GROUP never work here too, and are kept in the guardian's directory.
Kafka lets offsets expire all the same: with --restore-expired the guardian commits those that are
pinned or kept for ever again in time, and puts them back once they are gone; else its log warns.

Examples:
  catchword guard --bootstrap kafka:9092
  catchword guard --bootstrap kafka:9092 --data /var/lib/catchword-guard --api 0.0.0.0:9644
  catchword guard --bootstrap kafka:9093 --command-config client.properties
  catchword undo --bootstrap kafka:9092")]
pub(crate) struct Args {
    /// Where the history is kept.
    #[arg(long, value_name = "DIR", default_value = "catchword-guard")]
    data: PathBuf,
    /// Where to answer the commands, and Prometheus (the key `http.listener`).
    #[arg(long, value_name = "HOST:PORT")]
    api: Option<String>,
    /// Commit pinned offsets (catchword pin, catchword keep GROUP never) again before they expire there, or once they are gone.
    #[arg(long)]
    restore_expired: bool,
    /// Set a key, such as how long history is kept; `catchword serve --keys` lists them.
    #[arg(long, value_name = "KEY=VALUE", value_parser = Flag::set)]
    set: Vec<Flag>,
    #[command(flatten)]
    cluster: Cluster,
}

pub(crate) fn run(args: &Args, ui: &mut Ui) -> Result<(), Failure> {
    let flag = |flag: &str, key: &str, value: String| Flag {
        flag: flag.into(),
        key: key.into(),
        value,
    };
    let mut flags = args.set.clone();
    flags.push(flag("--data", "log.dirs", args.data.display().to_string()));
    if let Some(api) = &args.api {
        flags.push(flag("--api", "http.listener", api.clone()));
    }
    match cluster_id(&args.cluster) {
        Ok(id) => flags.extend(id.map(|id| flag("--bootstrap", "cluster.id", id))),
        // Which cluster it is stands in the directory.
        Err(error) if args.data.join("meta.properties").exists() => {
            ui.warn(format_args!("warning: {error}; it is tried again"));
        }
        Err(error) => return Err(error),
    }
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    let loaded = catchword_config::load(&sources).map_err(Failure::Config)?;
    for warning in &loaded.warnings {
        ui.warn(format_args!("warning: {warning}"));
    }
    let mut config = loaded.config;
    // Kafka's clients go to their Kafka.
    config.listeners.clear();
    config.advertised.clear();
    let kafka = ClientOptions {
        client_id: "catchword-guardian".into(),
        ..args.cluster.options()?
    };
    let guarded = Guarded {
        kafka,
        restore_expired: args.restore_expired,
    };
    crate::serve::run_guardian(config, guarded)
}

fn cluster_id(cluster: &Cluster) -> Result<Option<String>, Failure> {
    Ok(cluster.connect()?.cluster()?.id)
}
