//! Reads: nodes of bookmarks, many of them with requests that do not wait for each other.

use std::collections::HashMap;

use zookeeper_client as zk;

use super::{Store, StoreError, no_auth};
use crate::book::Node;
use crate::path::{self, Place, ROOT};

/// How many requests may be on their way at a time.
const READS: usize = 128;

/// A node that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// What it says.
    pub node: Node,
    /// ZooKeeper's transaction that wrote it last.
    pub zxid: i64,
}

/// All that there is.
#[derive(Debug, Default)]
pub struct Scan {
    /// The bookmarks.
    pub nodes: HashMap<Place, Found>,
    /// Groups that have moved.
    pub cut_over: Vec<String>,
    /// Nodes where bookmarks stand that are none, such as the `BROKER-PARTITION` of Kafka 0.7.
    pub odd: Vec<String>,
}

impl Store {
    /// All bookmarks there are, and the groups that have moved. Takes a round trip for each [`READS`] nodes, whatever they are.
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::Other`].
    pub async fn scan(&self) -> Result<Scan, StoreError> {
        let mut scan = Scan::default();
        let groups = self.below(&[ROOT.to_owned()]).await?;
        let names = groups.iter().filter_map(|path| path.rsplit('/').next());
        let marks = names.filter_map(|group| Some((group, path::cut_over(group)?)));
        let (names, marks): (Vec<&str>, Vec<String>) = marks.unzip();
        let stats = self
            .ask_all(&marks, |path| self.client.check_stat(path))
            .await;
        for (group, stat) in names.into_iter().zip(stats) {
            if stat?.is_some() {
                scan.cut_over.push(group.to_owned());
            }
        }
        let offsets: Vec<String> = groups
            .iter()
            .map(|path| format!("{path}/offsets"))
            .collect();
        let topics = self.below(&offsets).await?;
        let paths = self.below(&topics).await?;
        for (path, found) in paths.iter().zip(self.read_all(&paths).await?) {
            let Some(found) = found else {
                continue;
            };
            match Place::of_node(path) {
                Some(place) => drop(scan.nodes.insert(place, found)),
                None => scan.odd.push(path.clone()),
            }
        }
        Ok(scan)
    }

    /// What is in a node; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::Other`].
    pub async fn read(&self, path: &str) -> Result<Option<Found>, StoreError> {
        Ok(self.read_all(&[path]).await?.pop().flatten())
    }

    /// What is in each of these nodes; `None` where there is none.
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::Other`].
    pub async fn read_all<P: AsRef<str>>(
        &self,
        paths: &[P],
    ) -> Result<Vec<Option<Found>>, StoreError> {
        let answers = self.ask_all(paths, |path| self.client.get_data(path)).await;
        let answers = paths.iter().zip(answers);
        answers
            .map(|(path, answer)| match answer {
                Ok((data, stat)) => Ok(Some(Found {
                    node: Node {
                        offset: path::offset(&data),
                        at_ms: stat.mtime,
                        version: stat.version,
                        is_copy: false,
                    },
                    zxid: stat.mzxid,
                })),
                Err(zk::Error::NoNode) => Ok(None),
                Err(zk::Error::NoAuth) => Err(no_auth(path.as_ref())),
                Err(error) => Err(error.into()),
            })
            .collect()
    }

    /// The paths of all that is directly below these nodes, as far as they are there.
    async fn below(&self, paths: &[String]) -> Result<Vec<String>, StoreError> {
        let answers = self
            .ask_all(paths, |path| self.client.list_children(path))
            .await;
        let mut below = Vec::new();
        for (path, answer) in paths.iter().zip(answers) {
            match answer {
                Ok(children) => below.extend(children.iter().map(|c| format!("{path}/{c}"))),
                Err(zk::Error::NoNode) => {}
                Err(zk::Error::NoAuth) => return Err(no_auth(path)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(below)
    }

    /// One request for each of these nodes, [`READS`] of them at a time: all are sent before the first is waited for.
    pub(super) async fn ask_all<'p, P: AsRef<str>, T, F>(
        &self,
        paths: &'p [P],
        ask: impl Fn(&'p str) -> F,
    ) -> Vec<Result<T, zk::Error>>
    where
        F: Future<Output = Result<T, zk::Error>>,
    {
        let mut answers = Vec::with_capacity(paths.len());
        for paths in paths.chunks(READS) {
            let sent: Vec<F> = paths.iter().map(|path| ask(path.as_ref())).collect();
            for request in sent {
                answers.push(self.asked(request).await);
            }
        }
        answers
    }
}
