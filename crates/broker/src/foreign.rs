//! Data directories that are Apache Kafka's: told apart before anything in them is touched.
//!
//! Both brokers keep their metadata in `__cluster_metadata-0` and the cluster's id in `meta.properties`. Kafka's metadata
//! directory has its quorum state in it. A directory that was adopted has a `meta.properties` of a version that Kafka
//! refuses, so that it does not start on metadata that are not its own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::start::StartError;

/// The directory of the metadata log, Kafka's and ours.
pub const METADATA_DIR: &str = "__cluster_metadata-0";
/// The file in Kafka's metadata directory that ours never has.
pub const QUORUM_STATE: &str = "quorum-state";
/// The version in the `meta.properties` of an adopted directory. Kafka knows 0 and 1.
pub const ADOPTED_VERSION: &str = "1000";

/// The entries of a `meta.properties`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaProperties(BTreeMap<String, String>);

impl MetaProperties {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> MetaProperties {
        let lines = text.lines().filter(|l| !l.trim_start().starts_with('#'));
        let entries = lines.filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            // Java escapes what could end a key.
            Some((key.trim().to_owned(), value.trim().replace("\\=", "=")))
        });
        MetaProperties(entries.collect())
    }

    /// Reads the directory's file; empty if there is none.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read(dir: &Path) -> std::io::Result<MetaProperties> {
        match std::fs::read_to_string(dir.join("meta.properties")) {
            Ok(text) => Ok(MetaProperties::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(MetaProperties::default())
            }
            Err(error) => Err(error),
        }
    }

    /// A value that is not empty.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether the directory is that of a guardian.
    pub fn is_guardians(&self) -> bool {
        self.get("guards").is_some()
    }

    /// Whether the directory's adoption was begun, and maybe ended.
    pub fn is_adopted(&self) -> bool {
        self.get("version") == Some(ADOPTED_VERSION)
    }
}

/// Refuses a directory that is Kafka's or a guardian's, before anything in it is changed.
///
/// # Errors
/// [`StartError::Identity`], with what to do.
pub fn refuse_foreign(dir: &Path) -> Result<(), StartError> {
    if !dir.is_dir() {
        // Whoever opens it says what is the matter.
        return Ok(());
    }
    let failed = |error| StartError::Identity(format!("cannot read {}: {error}", dir.display()));
    let properties = MetaProperties::read(dir).map_err(failed)?;
    let metadata = dir.join(METADATA_DIR);
    let kafkas = metadata.join(QUORUM_STATE).exists();
    let path = dir.display();
    let why = if properties.is_adopted() && (kafkas || !metadata.exists()) {
        format!(
            "the adoption of {path} was interrupted: `catchword adopt {path} --yes` finishes it"
        )
    } else if kafkas {
        format!(
            "{path} is an Apache Kafka's data directory: `catchword adopt {path}` says what moving in would do"
        )
    } else if properties.get("broker.id").is_some() {
        format!(
            "{path} is the data directory of an Apache Kafka that uses ZooKeeper: migrate it to KRaft first, then `catchword adopt` can take it over"
        )
    } else if properties.is_guardians() {
        format!(
            "{path} is the history of an Apache Kafka that is guarded: `catchword guard --data {path}` goes on with it; a broker needs a directory of its own"
        )
    } else {
        return Ok(());
    };
    Err(StartError::Identity(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(make: impl Fn(&Path)) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        refuse_foreign(dir.path())
            .err()
            .map(|error| error.to_string())
    }

    fn metadata(dir: &Path, files: &[&str]) {
        let metadata = dir.join(METADATA_DIR);
        std::fs::create_dir(&metadata).unwrap();
        for file in files {
            std::fs::write(metadata.join(file), "").unwrap();
        }
    }

    fn properties(dir: &Path, text: &str) {
        std::fs::write(dir.join("meta.properties"), text).unwrap();
    }

    #[test]
    fn a_guardians_history_is_no_brokers_directory() {
        let why = refused(|dir| properties(dir, "version=1\nnode.id=1\nguards=kafka\n"));
        assert!(why.unwrap().contains("catchword guard --data"));
    }

    #[test]
    fn directories_of_ours_are_none_of_kafkas() {
        assert_eq!(refused(|_| {}), None);
        assert_eq!(
            refused(|dir| {
                properties(dir, "version=1\ncluster.id=c\nnode.id=1\n");
                metadata(dir, &["00000000000000000000.log"]);
            }),
            None
        );
        assert_eq!(
            refused(|dir| {
                properties(dir, &format!("version={ADOPTED_VERSION}\ncluster.id=c\n"));
                metadata(dir, &["00000000000000000000.log"]);
            }),
            None
        );
    }

    #[test]
    fn kafkas_directories_are_refused_with_the_command_that_takes_them_over() {
        let kraft = refused(|dir| {
            properties(dir, "version=1\ncluster.id=c\nnode.id=1\n");
            metadata(dir, &[QUORUM_STATE]);
        });
        assert!(kraft.unwrap().contains("`catchword adopt "));
        let halfway = refused(|dir| properties(dir, &format!("version={ADOPTED_VERSION}\n")));
        assert!(halfway.unwrap().contains("was interrupted"));
        let zookeeper = refused(|dir| properties(dir, "version=0\nbroker.id=0\ncluster.id=c\n"));
        assert!(zookeeper.unwrap().contains("ZooKeeper"));
    }
}
