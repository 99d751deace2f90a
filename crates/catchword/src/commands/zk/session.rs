//! A session with ZooKeeper for one command.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use catchword_client::{Client, Resource, ResourceType, TopicPartition};
use catchword_zookeeper::batch;
use catchword_zookeeper::store::{Scan, Write, Written};
use catchword_zookeeper::{Place, Store, StoreError};
use tokio::runtime::Runtime;

use crate::args::Cluster;
use crate::failure::Failure;

/// How long ZooKeeper has for its first answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which ZooKeeper to talk to.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Zookeeper {
    /// ZooKeeper: HOST:PORT, several separated by commas, perhaps with a path (chroot) at the end. Without it, that of the broker.
    #[arg(
        long,
        value_name = "CONNECT",
        env = "CATCHWORD_ZOOKEEPER",
        hide_env_values = true
    )]
    zookeeper: Option<String>,
    /// Who you are to ZooKeeper: SCHEME:CREDENTIALS, such as digest:user:password.
    #[arg(
        long,
        value_name = "AUTH",
        env = "CATCHWORD_ZOOKEEPER_AUTH",
        hide_env_values = true
    )]
    zookeeper_auth: Option<String>,
}

/// The two sides that a command is about, and how it is told.
#[derive(Debug, clap::Args)]
pub(super) struct Sides {
    /// JSON for scripts.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    zookeeper: Zookeeper,
    #[command(flatten)]
    cluster: Cluster,
}

impl Sides {
    /// Connects to both.
    pub(super) fn connect(&self) -> Result<(Client, Session), Failure> {
        let mut client = self.cluster.connect()?;
        let session = self.zookeeper.connect(&mut client)?;
        Ok((client, session))
    }
}

/// What is copied from one side to the other.
#[derive(Debug, clap::Args)]
pub(super) struct Copied {
    /// The groups.
    #[arg(required_unless_present = "all")]
    pub(super) groups: Vec<String>,
    /// All groups of the side that is copied from.
    #[arg(long, conflicts_with = "groups")]
    pub(super) all: bool,
    /// Do it.
    #[arg(long, short)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) sides: Sides,
}

/// See the module.
pub(super) struct Session {
    runtime: Runtime,
    store: Store,
}

impl Zookeeper {
    /// Connects; `client` is asked where the broker's own is.
    pub(super) fn connect(&self, client: &mut Client) -> Result<Session, Failure> {
        let connect = match &self.zookeeper {
            Some(connect) => connect.clone(),
            None => of_broker(client)?.ok_or_else(|| {
                Failure::Usage(
                    "the broker has no zookeeper.connect; say where ZooKeeper is with --zookeeper HOST:PORT".into(),
                )
            })?,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("no thread for ZooKeeper: {error}")))?;
        let store = Store::connect(&connect, self.zookeeper_auth.as_deref(), TIMEOUT);
        let store = runtime.block_on(store).map_err(failed)?;
        Ok(Session { runtime, store })
    }
}

fn of_broker(client: &mut Client) -> Result<Option<String>, Failure> {
    let cluster = client.cluster()?;
    let Some(broker) = cluster.brokers.first() else {
        return Ok(None);
    };
    let configs = client.describe_configs(&Resource {
        kind: ResourceType::Broker,
        name: broker.node_id.to_string(),
    })?;
    let entry = configs.into_iter().find(|c| c.name == "zookeeper.connect");
    Ok(entry
        .and_then(|entry| entry.value)
        .filter(|value| !value.is_empty()))
}

fn failed(error: StoreError) -> Failure {
    Failure::failed(error.to_string())
}

impl Session {
    fn wait<T>(&self, f: impl Future<Output = Result<T, StoreError>>) -> Result<T, Failure> {
        self.runtime.block_on(f).map_err(failed)
    }

    /// All that ZooKeeper has.
    pub(super) fn scan(&self) -> Result<Scan, Failure> {
        self.wait(self.store.scan())
    }

    /// Writes nodes, some hundred at a time.
    ///
    /// # Errors
    /// If one was changed meanwhile or may not be written; those before it may have been written.
    pub(super) fn write(&self, writes: &[Write]) -> Result<(), Failure> {
        let mut rest = writes;
        while !rest.is_empty() {
            let chunk;
            (chunk, rest) = rest.split_at(batch::fitting(rest.iter().map(|w| w.path.len())));
            let why = match self.wait(self.store.write(chunk))? {
                Written::All { .. } => continue,
                Written::Changed(at) => {
                    format!("{} was changed meanwhile; look again", chunk[at].path)
                }
                Written::NotAllowed(at) => format!(
                    "ZooKeeper does not allow it at {}; say who you are with --zookeeper-auth",
                    chunk[at].path
                ),
            };
            return Err(Failure::failed(why));
        }
        Ok(())
    }

    /// Whether a node is there.
    pub(super) fn exists(&self, path: &str) -> Result<bool, Failure> {
        self.wait(self.store.exists(path))
    }

    /// Removes a node.
    pub(super) fn remove(&self, path: &str) -> Result<(), Failure> {
        self.wait(self.store.remove(path))
    }
}

/// Offsets by group and partition.
pub(super) type Offsets = BTreeMap<String, BTreeMap<TopicPartition, i64>>;

/// ZooKeeper's offsets of these groups; of all if none is named.
pub(super) fn theirs(scan: &Scan, groups: &[String]) -> Offsets {
    let mut out = Offsets::new();
    for (place, found) in &scan.nodes {
        let Place {
            group,
            topic,
            partition,
        } = place;
        if let Some(offset) = found.node.offset
            && (groups.is_empty() || groups.contains(group))
        {
            let partitions = out.entry(group.clone()).or_default();
            partitions.insert(TopicPartition::new(topic, *partition), offset);
        }
    }
    out
}

/// The cluster's offsets of these groups.
pub(super) fn ours(client: &mut Client, groups: &BTreeSet<String>) -> Result<Offsets, Failure> {
    let mut out = Offsets::new();
    for group in groups {
        let committed = client.committed(group, None)?;
        let offsets = committed.into_iter().map(|(p, c)| (p, c.offset));
        out.insert(group.clone(), offsets.collect());
    }
    Ok(out)
}
