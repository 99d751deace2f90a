//! A connection to ZooKeeper: reads, watches and writes nodes of bookmarks.

mod read;
mod write;

use std::time::Duration;

use zookeeper_client as zk;

use crate::path::ROOT;
use crate::progress::Progress;

pub use read::{Found, Scan};
pub use write::{Write, Written};

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
    async fn asked<T, E: From<zk::Error>>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let answer = tokio::time::timeout(self.patience, request).await;
        answer.unwrap_or_else(|_| Err(zk::Error::Timeout.into()))
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
}

fn no_auth(path: &str) -> StoreError {
    StoreError::NoAuth {
        path: path.to_owned(),
    }
}
