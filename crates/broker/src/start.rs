//! Starting and stopping: listeners, background work, and the order of things at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use catchword_config::{BrokerConfig, ConfigError, Listener};
use catchword_log::{Engine, LogError};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::admission::Admission;
use crate::broker::{Broker, endpoint};
use crate::catalog::CatalogError;
use crate::clock;
use crate::connection::Connection;
use crate::groups::Timers;
use crate::guardian::{Guarded, Guardian};
use crate::identity::Identity;
use crate::transactions::Chores;

/// How often the log's housekeeping takes a step.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// How long answers under way may take at the end before coordinators send waiting members away.
const QUIET_DRAIN: Duration = Duration::from_millis(500);
/// How long the end may take for connections in all.
const DRAIN: Duration = Duration::from_secs(5);

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error("cannot listen on {address}: {source}{}", hint(source))]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The storage cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The catalog cannot be read.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A setting does not do.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data directory belongs to another cluster or node, or cannot be written.
    #[error("{0}")]
    Identity(String),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; is a broker running there already? choose another address with --listen"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        io::ErrorKind::AddrNotAvailable => "; the address is not one of this machine's",
        _ => "",
    }
}

/// A broker that runs.
pub struct Running {
    broker: Arc<Broker>,
    addresses: Vec<(String, SocketAddr)>,
    connections: Arc<Admission>,
    tasks: Vec<JoinHandle<()>>,
    background: [mpsc::Sender<()>; 2],
}

/// Opens what the engine holds and begins to serve. Needs a tokio runtime with IO and time.
///
/// # Errors
/// [`StartError`]; nothing is left running then.
pub async fn start(
    config: BrokerConfig,
    engine: Arc<dyn Engine>,
    identity: Identity,
) -> Result<Running, StartError> {
    start_as(config, engine, identity, None).await
}

/// As [`start`], but to guard an Apache Kafka: what happens to its groups' bookmarks is kept, told by
/// the JSON API, and put back there. `identity` must have that Kafka's cluster id; there should be no listeners.
///
/// # Errors
/// As of [`start`]. That the Kafka cannot be reached is none: it is tried again.
pub async fn start_guardian(
    config: BrokerConfig,
    engine: Arc<dyn Engine>,
    identity: Identity,
    guarded: Guarded,
) -> Result<Running, StartError> {
    let guardian = Arc::new(Guardian::new(guarded));
    start_as(config, engine, identity, Some(guardian)).await
}

async fn start_as(
    config: BrokerConfig,
    engine: Arc<dyn Engine>,
    identity: Identity,
    guardian: Option<Arc<Guardian>>,
) -> Result<Running, StartError> {
    let timers = Arc::new(Timers::default());
    let chores = Chores::new();
    let mut bound = Vec::new();
    for listener in &config.listeners {
        bound.push(bind(listener, &config).await?);
    }
    let mut endpoints = Vec::new();
    let mut addresses = Vec::new();
    for (at, listener) in bound.iter().enumerate() {
        let address = listener.local_addr().map_err(|source| StartError::Listen {
            address: config.listeners[at].to_string(),
            source,
        })?;
        endpoints.push(endpoint(&config.advertised[at], address));
        addresses.push((config.listeners[at].name.clone(), address));
    }
    let expire_every = u64::try_from(config.offsets_retention_check_interval_ms).unwrap_or(1);
    let abort_every =
        u64::try_from(config.transaction_abort_timed_out_cleanup_interval_ms).unwrap_or(1);
    let forget_every =
        u64::try_from(config.transaction_remove_expired_cleanup_interval_ms).unwrap_or(1);
    let (opening, opening_timers) = (engine.clone(), timers.clone());
    let opening_chores = chores.clone();
    let opened = tokio::task::spawn_blocking(move || {
        Broker::new(
            config,
            identity.cluster_id,
            opening,
            opening_timers,
            opening_chores,
            guardian,
        )
    });
    let broker = opened
        .await
        .map_err(|e| StartError::Identity(format!("the broker could not be opened: {e}")))??;
    broker.set_endpoints(endpoints);
    let connections = Arc::new(Admission::default());
    let mut tasks = vec![
        tokio::spawn(timers.run()),
        tokio::spawn(crate::share::run(broker.clone())),
        tokio::spawn(every(broker.clone(), expire_every, |broker| {
            let lead_ms = broker.catalog.config().offsets_expiry_warning_ms;
            let rules = broker.catalog.retention_rules();
            broker.groups.expire(&rules, lead_ms);
        })),
        tokio::spawn(chores.run(broker.clone())),
        tokio::spawn(every(broker.clone(), abort_every, |broker| {
            broker.transactions.abort_timed_out();
        })),
        tokio::spawn(every(broker.clone(), forget_every, |broker| {
            broker.transactions.expire();
        })),
    ];
    for (at, listener) in bound.into_iter().enumerate() {
        tasks.push(tokio::spawn(accept(
            broker.clone(),
            listener,
            at,
            connections.clone(),
        )));
    }
    tasks.push(tokio::spawn(crate::lag::run(broker.clone())));
    tasks.extend(crate::zookeeper::start(&broker));
    tasks.extend(crate::http::start(&broker).await);
    if let Some(guardian) = &broker.guardian {
        guardian.start(&broker);
        tasks.push(tokio::spawn(crate::guardian::keep_pins(
            guardian.clone(),
            broker.clone(),
        )));
    }
    let background = background(&broker, engine);
    Ok(Running {
        broker,
        addresses,
        connections,
        tasks,
        background,
    })
}

impl Running {
    /// Where the broker listens: the listeners' names and the addresses that were bound.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Where the JSON API is, if it is anywhere.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.broker.http()
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> &str {
        &self.broker.cluster_id
    }

    /// Stops in order: no more requests, answers under way leave, waiting group members are sent away, everything is
    /// made durable and the storage is closed.
    ///
    /// # Errors
    /// What the storage says; the next start recovers then.
    pub async fn stop(self) -> Result<(), LogError> {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.broker.stop();
        let begun = Instant::now();
        self.drained(begun + QUIET_DRAIN).await;
        self.broker.transactions.stop();
        self.broker.groups.stop();
        self.drained(begun + DRAIN).await;
        let left = self.connections.open();
        if left > 0 {
            warn!("{left} connections had to be cut off");
        }
        drop(self.background);
        let broker = self.broker;
        let close = move || {
            broker.groups.keep_snapshots();
            broker.transactions.keep_snapshots();
            broker.engine.close()
        };
        tokio::task::spawn_blocking(close)
            .await
            .unwrap_or(Err(LogError::Closed))
    }

    async fn drained(&self, until: Instant) {
        while self.connections.open() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn bind(listener: &Listener, config: &BrokerConfig) -> Result<TcpListener, StartError> {
    let failed = |source| StartError::Listen {
        address: listener.to_string(),
        source,
    };
    let candidates: Vec<SocketAddr> = if listener.host.is_empty() {
        // Both families where the system has both.
        vec![
            ([0u16; 8], listener.port).into(),
            ([0u8; 4], listener.port).into(),
        ]
    } else {
        tokio::net::lookup_host((listener.host.as_str(), listener.port))
            .await
            .map_err(failed)?
            .collect()
    };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in candidates {
        match listen(address, config) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn listen(address: SocketAddr, config: &BrokerConfig) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    // Connections have it from their listener.
    if let Ok(bytes @ 1..) = u32::try_from(config.socket_send_buffer_bytes) {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.bind(address)?;
    // Kafka's default of 50 is little for a storm of clients that come back after a restart.
    let backlog = config.socket_listen_backlog_size;
    socket.listen(u32::try_from(backlog).unwrap_or(50).max(1024))
}

async fn accept(
    broker: Arc<Broker>,
    listener: TcpListener,
    index: usize,
    admission: Arc<Admission>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: those that are open go on, and some will close.
                warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match admission.admit(peer.ip(), &broker.catalog.config()) {
            Ok(admitted) => {
                let broker = broker.clone();
                let held_up = broker.quotas.connection_from(peer.ip(), clock::now_ms());
                let mut connection = Connection::new(broker, stream, peer, index);
                tokio::spawn(async move {
                    if let Some(ms) = held_up {
                        // Closed at once it would only be tried again at once.
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                    } else {
                        connection.serve().await;
                    }
                    drop(admitted);
                });
            }
            Err(limit) => warn!(%peer, "connection refused: {limit}"),
        }
        let most_a_second = broker.catalog.config().max_connection_creation_rate;
        let ms = broker.quotas.connection(most_a_second, clock::now_ms());
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }
}

async fn every(broker: Arc<Broker>, every_ms: u64, chore: fn(&Broker)) {
    let mut every = tokio::time::interval(Duration::from_millis(every_ms));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    every.tick().await;
    loop {
        every.tick().await;
        let broker = broker.clone();
        let _ = tokio::task::spawn_blocking(move || chore(&broker)).await;
    }
}

/// The log's housekeeping and its compactions have a thread each, which ends when the sender is dropped.
fn background(broker: &Arc<Broker>, engine: Arc<dyn Engine>) -> [mpsc::Sender<()>; 2] {
    let cleaner = engine.clone();
    let (broker, keeper) = (broker.clone(), broker.clone());
    let background = [
        every_moment(
            "log-maintenance",
            "old records are not deleted",
            move || {
                keeper.holds.look(&keeper);
                engine.keep_house(clock::now_ms());
            },
        ),
        every_moment("log-cleaner", "no topic is compacted", move || {
            let rate = broker.catalog.config().log_cleaner_io_max_bytes_per_second;
            cleaner.compact(clock::now_ms(), rate);
        }),
    ];
    info!("ready");
    background
}

/// A thread that does the work again and again until the sender is dropped.
fn every_moment(name: &str, without: &str, work: impl Fn() + Send + 'static) -> mpsc::Sender<()> {
    let (tx, rx) = mpsc::channel();
    let turns = move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = rx.recv_timeout(MAINTAIN_EVERY) {
            work();
        }
    };
    if let Err(error) = std::thread::Builder::new().name(name.into()).spawn(turns) {
        warn!("thread {name} could not be started: {error}; {without}");
    }
    tx
}
