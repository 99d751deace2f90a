//! Writes: many bookmarks in one of ZooKeeper's transactions, with the directories above those that are new.

use std::collections::BTreeMap;

use zookeeper_client as zk;

use super::{OPEN, Store, StoreError};

/// How often a write is tried while others make or remove the directories that it needs.
const TRIES: usize = 5;

/// One write of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The node.
    pub path: String,
    /// What goes into it.
    pub data: String,
    /// The version that it must be at; `None`: it must not be there.
    pub version: Option<i32>,
}

/// How a batch went.
#[derive(Debug)]
pub enum Written {
    /// All was written.
    All {
        /// The versions of the nodes, in order.
        versions: Vec<i32>,
        /// The transaction that did it, if the server says.
        zxid: Option<i64>,
    },
    /// Nothing was: this one is in the way, because its node is not as expected.
    Changed(usize),
    /// Nothing was: this one is not allowed.
    NotAllowed(usize),
}

impl Store {
    /// Writes all or nothing, of bookmarks as many as are [`fitting`](crate::batch::fitting), in one transaction; directories above new nodes are made in
    /// it as well.
    ///
    /// # Errors
    /// [`StoreError::NoChroot`]; [`StoreError::Other`]: it is not known whether it was written.
    pub async fn write(&self, writes: &[Write]) -> Result<Written, StoreError> {
        for _ in 0..TRIES {
            let above = self.missing_above(writes).await?;
            if let Some(written) = self.commit(&above, writes).await? {
                return Ok(written);
            }
        }
        // Whoever asked looks at the node again, and finds what is in the way.
        let is_new = |write: &Write| write.version.is_none();
        Ok(Written::Changed(
            writes.iter().position(is_new).unwrap_or(0),
        ))
    }

    /// The directories that new nodes need and that are not there, upper ones first, each with the first write that needs it.
    async fn missing_above(&self, writes: &[Write]) -> Result<Vec<(String, usize)>, StoreError> {
        let mut above = BTreeMap::new();
        for (at, write) in writes.iter().enumerate() {
            if write.version.is_none() {
                for (slash, _) in write.path.match_indices('/').skip(1) {
                    above.entry(&write.path[..slash]).or_insert(at);
                }
            }
        }
        let paths: Vec<&str> = above.keys().copied().collect();
        let stats = self
            .ask_all(&paths, |path| self.client.check_stat(path))
            .await;
        let mut missing = Vec::new();
        for ((path, at), stat) in above.into_iter().zip(stats) {
            if stat?.is_none() {
                missing.push((path.to_owned(), at));
            }
        }
        Ok(missing)
    }

    /// One transaction; `None` if the directories are no longer as they were seen.
    async fn commit(
        &self,
        above: &[(String, usize)],
        writes: &[Write],
    ) -> Result<Option<Written>, StoreError> {
        let mut multi = self.client.new_multi_writer();
        for (path, _) in above {
            multi.add_create(path, &[], &OPEN)?;
        }
        for write in writes {
            let data = write.data.as_bytes();
            match write.version {
                None => multi.add_create(&write.path, data, &OPEN)?,
                Some(version) => multi.add_set_data(&write.path, data, Some(version))?,
            }
        }
        let results = match self.asked(multi.commit()).await {
            Ok(results) => results,
            Err(zk::MultiWriteError::RequestFailed { source }) => return Err(source.into()),
            Err(zk::MultiWriteError::OperationFailed { index, source }) => {
                return match (above.get(index), source) {
                    (Some((_, at)), zk::Error::NoAuth) => Ok(Some(Written::NotAllowed(*at))),
                    // Nothing is above the uppermost but the chroot.
                    (Some((path, _)), zk::Error::NoNode) if path.rfind('/') == Some(0) => {
                        Err(StoreError::NoChroot)
                    }
                    (Some(_), zk::Error::NodeExists | zk::Error::NoNode) => Ok(None),
                    (None, zk::Error::NoAuth) => Ok(Some(Written::NotAllowed(index - above.len()))),
                    (None, zk::Error::BadVersion | zk::Error::NoNode | zk::Error::NodeExists) => {
                        Ok(Some(Written::Changed(index - above.len())))
                    }
                    (_, source) => Err(source.into()),
                };
            }
        };
        let stat = |result| match result {
            zk::MultiWriteResult::SetData { stat } | zk::MultiWriteResult::Create { stat, .. } => {
                Some(stat)
            }
            _ => None,
        };
        let stats: Vec<zk::Stat> = results
            .into_iter()
            .skip(above.len())
            .filter_map(stat)
            .collect();
        Ok(Some(Written::All {
            zxid: stats.last().map(|stat| stat.mzxid).filter(|zxid| *zxid > 0),
            // Some servers give no stat of a node that they made (ZOOKEEPER-4026): it is at version 0.
            versions: stats.iter().map(|stat| stat.version.max(0)).collect(),
        }))
    }
}
