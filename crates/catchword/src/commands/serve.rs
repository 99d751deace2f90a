//! `catchword serve`: gathers the configuration and starts the broker.

use std::path::PathBuf;

use catchword_config::load::Flag;
use catchword_config::{Sources, docs};

use crate::failure::Failure;
use crate::ui::Ui;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A value is taken from the first of: a flag, the environment (CATCHWORD_NUM_PARTITIONS=3), the
properties file, the TOML file, the default. --keys lists all keys; docs/config.md has their words.
The log goes to standard error; CATCHWORD_LOG=debug says more.

Examples:
  catchword serve
  catchword serve --listen 0.0.0.0:9092 --data /var/lib/catchword --set num.partitions=3
  catchword serve --properties server.properties      your file of Apache Kafka's
  catchword serve --config catchword.toml")]
pub(crate) struct Args {
    /// Where to listen (the key `listeners`); port 0 takes a free one.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The data directory (the key `log.dirs`).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A TOML file of keys.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A properties file as Apache Kafka has it.
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
    /// Set a key; may be given again and again.
    #[arg(long, value_name = "KEY=VALUE", value_parser = Flag::set)]
    set: Vec<Flag>,
    /// List all keys with their types, defaults and words, and do nothing else.
    #[arg(long)]
    keys: bool,
    /// Check the configuration, say what is wrong with it, and do nothing else.
    #[arg(long)]
    check: bool,
}

impl Args {
    fn sources(&self) -> Sources {
        let flag = |flag: &str, key: &str, value: String| Flag {
            flag: flag.into(),
            key: key.into(),
            value,
        };
        let mut flags = self.set.clone();
        if let Some(listen) = &self.listen {
            flags.push(flag("--listen", "listeners", listen.clone()));
        }
        if let Some(data) = &self.data {
            flags.push(flag("--data", "log.dirs", data.display().to_string()));
        }
        Sources {
            flags,
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            properties: self.properties.clone(),
            toml: self.config.clone(),
        }
    }
}

pub(crate) fn run(args: Args, ui: &mut Ui) -> Result<(), Failure> {
    if args.keys {
        return ui.bytes(docs::plain(96).as_bytes());
    }
    let loaded = catchword_config::load(&args.sources()).map_err(Failure::Config)?;
    for warning in &loaded.warnings {
        ui.warn(format_args!("warning: {warning}"));
    }
    if args.check {
        return ui.line("The configuration is sound.");
    }
    crate::serve::run(loaded.config)
}
