//! Which cluster and node a data directory belongs to: `meta.properties`, in Kafka's form.

use std::io::Write;
use std::path::Path;

use catchword_config::BrokerConfig;
use catchword_wire::{Str, Uuid};

use crate::foreign::MetaProperties;
use crate::random;
use crate::start::StartError;

const FILE: &str = "meta.properties";

/// The cluster's id, as a data directory holds it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// 22 characters of base64.
    pub cluster_id: Str,
}

impl Identity {
    /// Reads the directory's identity, or gives it one.
    ///
    /// # Errors
    /// [`StartError::Identity`] if the directory belongs to another node or cluster, or cannot be used.
    pub fn load(dir: &Path, config: &BrokerConfig) -> Result<Identity, StartError> {
        Identity::load_as(dir, config, "")
    }

    /// As [`load`](Identity::load), for the directory of a guardian, which keeps what another cluster's groups did.
    ///
    /// # Errors
    /// Likewise; and if the directory is that of a broker.
    pub fn load_guardian(dir: &Path, config: &BrokerConfig) -> Result<Identity, StartError> {
        let failed = |why: &dyn std::fmt::Display| {
            StartError::Identity(format!("cannot read {}: {why}", dir.join(FILE).display()))
        };
        let entries = MetaProperties::read(dir).map_err(|e| failed(&e))?;
        if entries.get("node.id").is_some() && !entries.is_guardians() {
            return Err(StartError::Identity(format!(
                "{} is the data directory of a broker, not of a guardian; name another with --data",
                dir.display()
            )));
        }
        Identity::load_as(dir, config, "guards=kafka\n")
    }

    fn load_as(dir: &Path, config: &BrokerConfig, more: &str) -> Result<Identity, StartError> {
        let path = dir.join(FILE);
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            StartError::Identity(format!("{what} {}: {why}", path.display()))
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Identity::check(&path, &text, config),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let wanted = config.cluster_id.clone();
                let id = wanted.unwrap_or_else(|| Uuid::from_random(random::bytes()).to_string());
                let text = format!(
                    "version=1\ncluster.id={id}\nnode.id={}\ndirectory.id={}\n{more}",
                    config.node_id,
                    Uuid::from_random(random::bytes())
                );
                write_durably(&path, &text).map_err(|e| failed("cannot write", &e))?;
                Ok(Identity {
                    cluster_id: id.into(),
                })
            }
            Err(error) => Err(failed("cannot read", &error)),
        }
    }

    fn check(path: &Path, text: &str, config: &BrokerConfig) -> Result<Identity, StartError> {
        let entries = MetaProperties::parse(text);
        let wrong = |why: String| Err(StartError::Identity(format!("{}: {why}", path.display())));
        let Some(cluster_id) = entries.get("cluster.id") else {
            return wrong(
                "there is no cluster.id in it; restore the file, or move the directory away".into(),
            );
        };
        if let Some(node) = entries
            .get("node.id")
            .filter(|node| *node != config.node_id.to_string())
        {
            return wrong(format!(
                "the data is of node {node}, but node.id is {}; start with --set node.id={node}",
                config.node_id
            ));
        }
        if let Some(wanted) = config
            .cluster_id
            .as_deref()
            .filter(|wanted| *wanted != cluster_id)
        {
            return wrong(format!(
                "the data is of cluster {cluster_id}, but cluster.id is {wanted}"
            ));
        }
        Ok(Identity {
            cluster_id: Str::copy(cluster_id),
        })
    }
}

/// All of the file or none of it, whatever happens.
fn write_durably(path: &Path, text: &str) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let temporary = path.with_extension("properties.tmp");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(dir)?.sync_all()
}
