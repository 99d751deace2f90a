//! A connection to ZooKeeper: reads, watches and writes nodes of bookmarks.

use std::collections::HashMap;
use std::time::Duration;

use zookeeper_client as zk;

use crate::book::Node;
use crate::path::{self, Place, ROOT};
use crate::progress::Progress;

/// The most writes in one of ZooKeeper's transactions: far below the megabyte that a server takes at once.
pub const MOST_WRITES: usize = 500;
/// How many reads may be on their way at a time.
const READS: usize = 128;

/// Why ZooKeeper did not do what was asked, and what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No server could be reached.
    #[error(
        "ZooKeeper cannot be reached at {connect}: {source}; is it running, and is this its address?"
    )]
    Unreachable {
        /// The connect string.
        connect: String,
        /// What the client says.
        source: zk::Error,
    },
    /// The connect string is not one.
    #[error(
        "{connect:?} is no address of ZooKeeper: {source}; it is HOST:PORT, several separated by commas, and perhaps a path (chroot) at the end"
    )]
    Address {
        /// The connect string.
        connect: String,
        /// What the client says.
        source: zk::Error,
    },
    /// The rights are missing.
    #[error(
        "ZooKeeper does not allow it at {path}; see its ACL with `getAcl {path}`, and give zookeeper.auth the user that it names"
    )]
    NoAuth {
        /// The node.
        path: String,
    },
    /// Nothing can be made below a node that is not there.
    #[error(
        "ZooKeeper has no node for the path at the end of the connect string (chroot); is it spelled as others have it? If it is new, make it with `create`, each node of it in turn"
    )]
    NoChroot,
    /// Anything else; the connection or the session may be gone.
    #[error("ZooKeeper: {0}")]
    Other(#[from] zk::Error),
}

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

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A node was made, written or deleted.
    Node {
        /// The node.
        path: String,
        /// The transaction that did it, from a server of 3.9 on.
        zxid: i64,
    },
    /// Events may have been missed: everything has to be read again.
    Missed,
    /// The session is over; a new connection is needed.
    Over,
}

/// See the module. The session ends when it is dropped.
pub struct Store {
    client: zk::Client,
    watcher: Option<zk::PersistentWatcher>,
    patience: Duration,
}

const OPEN: zk::CreateOptions<'static> =
    zk::CreateMode::Persistent.with_acls(zk::Acls::anyone_all());

impl Store {
    /// Connects within `timeout`, which is the session's as well. `auth` is `SCHEME:CREDENTIALS`, such as
    /// `digest:user:password`.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] or [`StoreError::Address`].
    pub async fn connect(
        connect: &str,
        auth: Option<&str>,
        timeout: Duration,
    ) -> Result<Store, StoreError> {
        let mut connector = zk::Client::connector()
            .with_session_timeout(timeout)
            .with_fail_eagerly();
        if let Some((scheme, credentials)) = auth.and_then(|auth| auth.split_once(':')) {
            connector = connector.with_auth(scheme, credentials.as_bytes());
        }
        let unreachable = |source| StoreError::Unreachable {
            connect: connect.to_owned(),
            source,
        };
        let asked = tokio::time::timeout(timeout, connector.connect(connect)).await;
        match asked {
            Err(_) => Err(unreachable(zk::Error::Timeout)),
            Ok(Ok(client)) => Ok(Store {
                client,
                watcher: None,
                patience: timeout,
            }),
            Ok(Err(source @ zk::Error::BadArguments(_))) => Err(StoreError::Address {
                connect: connect.to_owned(),
                source,
            }),
            Ok(Err(source)) => Err(unreachable(source)),
        }
    }

    /// One request. A lost connection may take one with it without a word; nobody waits for that one longer than a session
    /// lives without a sign of life.
    async fn asked<T>(
        &self,
        request: impl Future<Output = Result<T, zk::Error>>,
    ) -> Result<T, zk::Error> {
        let answer = tokio::time::timeout(self.patience, request).await;
        answer.unwrap_or(Err(zk::Error::Timeout))
    }

    /// Tells from now on of every change below [`ROOT`], by [`Store::event`].
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::NoChroot`], [`StoreError::Other`]; a server before 3.6 cannot do it.
    pub async fn watch(&mut self) -> Result<(), StoreError> {
        let said = |error| match error {
            zk::Error::NoAuth => no_auth(ROOT),
            zk::Error::NoNode => StoreError::NoChroot,
            error => error.into(),
        };
        self.asked(self.client.mkdir(ROOT, &OPEN))
            .await
            .map_err(said)?;
        let mode = zk::AddWatchMode::PersistentRecursive;
        let watch = self.asked(self.client.watch(ROOT, mode)).await;
        self.watcher = Some(watch.map_err(said)?);
        Ok(())
    }

    /// The next change. Never comes before [`Store::watch`]. Loses nothing when it is given up.
    pub async fn event(&mut self) -> Event {
        let Some(watcher) = &mut self.watcher else {
            return std::future::pending().await;
        };
        loop {
            let event = watcher.changed().await;
            match (event.event_type, event.session_state) {
                (zk::EventType::Session, zk::SessionState::SyncConnected) => return Event::Missed,
                (zk::EventType::Session, zk::SessionState::Disconnected) => {}
                (zk::EventType::Session, _) => {
                    self.watcher = None;
                    return Event::Over;
                }
                _ => {
                    return Event::Node {
                        path: event.path,
                        zxid: event.zxid,
                    };
                }
            }
        }
    }

    /// All bookmarks there are, and the groups that have moved.
    ///
    /// # Errors
    /// [`StoreError::Other`].
    pub async fn scan(&self) -> Result<Scan, StoreError> {
        let mut scan = Scan::default();
        for group in self.children(ROOT).await? {
            if let Some(path) = path::cut_over(&group)
                && self.asked(self.client.check_stat(&path)).await?.is_some()
            {
                scan.cut_over.push(group.clone());
            }
            let offsets = format!("{ROOT}/{group}/offsets");
            for topic in self.children(&offsets).await? {
                let topic = format!("{offsets}/{topic}");
                let children = self.children(&topic).await?;
                for children in children.chunks(READS) {
                    let paths: Vec<String> =
                        children.iter().map(|p| format!("{topic}/{p}")).collect();
                    // All are sent before the first is waited for.
                    let reads: Vec<_> = paths
                        .iter()
                        .map(|path| self.client.get_data(path))
                        .collect();
                    for (path, read) in paths.iter().zip(reads) {
                        let Some(found) = self.found(path, self.asked(read).await)? else {
                            continue;
                        };
                        match Place::of_node(path) {
                            Some(place) => drop(scan.nodes.insert(place, found)),
                            None => scan.odd.push(path.clone()),
                        }
                    }
                }
            }
        }
        Ok(scan)
    }

    /// One bookmark's node.
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::Other`].
    pub async fn read(&self, path: &str) -> Result<Option<Found>, StoreError> {
        self.found(path, self.asked(self.client.get_data(path)).await)
    }

    /// How far a mirror is, the version of the node that says it and the transaction that wrote it last.
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::Other`].
    pub async fn progress(&self, path: &str) -> Result<Option<(Progress, i32, i64)>, StoreError> {
        match self.asked(self.client.get_data(path)).await {
            Err(zk::Error::NoNode) => Ok(None),
            Err(zk::Error::NoAuth) => Err(no_auth(path)),
            Err(error) => Err(error.into()),
            Ok((data, stat)) => {
                let read = std::str::from_utf8(&data).ok();
                let progress = read.and_then(Progress::from_text).unwrap_or_default();
                Ok(Some((progress, stat.version, stat.mzxid)))
            }
        }
    }

    /// Writes all or nothing, at most [`MOST_WRITES`] and one more. Directories above new nodes are made before.
    ///
    /// # Errors
    /// [`StoreError::NoChroot`]; [`StoreError::Other`]: it is not known whether it was written.
    pub async fn write(&self, writes: &[Write]) -> Result<Written, StoreError> {
        for (at, write) in writes
            .iter()
            .enumerate()
            .filter(|(_, w)| w.version.is_none())
        {
            let Some((parent, _)) = write.path.rsplit_once('/').filter(|(p, _)| !p.is_empty())
            else {
                continue;
            };
            match self.asked(self.client.mkdir(parent, &OPEN)).await {
                Ok(()) => {}
                Err(zk::Error::NoAuth) => return Ok(Written::NotAllowed(at)),
                Err(zk::Error::NoNode) => return Err(StoreError::NoChroot),
                Err(error) => return Err(error.into()),
            }
        }
        let mut multi = self.client.new_multi_writer();
        for write in writes {
            let data = write.data.as_bytes();
            match write.version {
                None => multi.add_create(&write.path, data, &OPEN)?,
                Some(version) => multi.add_set_data(&write.path, data, Some(version))?,
            }
        }
        let committed = tokio::time::timeout(self.patience, multi.commit()).await;
        match committed.map_err(|_| zk::Error::Timeout)? {
            Ok(results) => {
                let stat = |result| match result {
                    zk::MultiWriteResult::SetData { stat }
                    | zk::MultiWriteResult::Create { stat, .. } => Some(stat),
                    _ => None,
                };
                let stats: Vec<zk::Stat> = results.into_iter().filter_map(stat).collect();
                Ok(Written::All {
                    zxid: stats.last().map(|stat| stat.mzxid).filter(|zxid| *zxid > 0),
                    // Some servers give no stat of a node that they made (ZOOKEEPER-4026): it is at version 0.
                    versions: stats.iter().map(|stat| stat.version.max(0)).collect(),
                })
            }
            Err(zk::MultiWriteError::OperationFailed { index, source }) => match source {
                zk::Error::NoAuth => Ok(Written::NotAllowed(index)),
                zk::Error::BadVersion | zk::Error::NoNode | zk::Error::NodeExists => {
                    Ok(Written::Changed(index))
                }
                source => Err(source.into()),
            },
            Err(zk::MultiWriteError::RequestFailed { source }) => Err(source.into()),
        }
    }

    /// Whether there is such a node.
    ///
    /// # Errors
    /// [`StoreError::Other`].
    pub async fn exists(&self, path: &str) -> Result<bool, StoreError> {
        Ok(self.asked(self.client.check_stat(path)).await?.is_some())
    }

    /// Removes a node, if it is there.
    ///
    /// # Errors
    /// [`StoreError::NoAuth`], [`StoreError::Other`].
    pub async fn remove(&self, path: &str) -> Result<(), StoreError> {
        match self.asked(self.client.delete(path, None)).await {
            Ok(()) | Err(zk::Error::NoNode) => Ok(()),
            Err(zk::Error::NoAuth) => Err(no_auth(path)),
            Err(error) => Err(error.into()),
        }
    }

    async fn children(&self, path: &str) -> Result<Vec<String>, StoreError> {
        match self.asked(self.client.list_children(path)).await {
            Ok(children) => Ok(children),
            Err(zk::Error::NoNode) => Ok(Vec::new()),
            Err(zk::Error::NoAuth) => Err(no_auth(path)),
            Err(error) => Err(error.into()),
        }
    }

    fn found(
        &self,
        path: &str,
        read: Result<(Vec<u8>, zk::Stat), zk::Error>,
    ) -> Result<Option<Found>, StoreError> {
        match read {
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
            Err(zk::Error::NoAuth) => Err(no_auth(path)),
            Err(error) => Err(error.into()),
        }
    }
}

fn no_auth(path: &str) -> StoreError {
    StoreError::NoAuth {
        path: path.to_owned(),
    }
}

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
