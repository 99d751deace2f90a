//! The broker: what all its connections share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use catchword_config::BrokerConfig;
use catchword_log::Engine;
use catchword_wire::{ErrorCode, Str};
use tokio::sync::watch;

use crate::catalog::{
    Catalog, NewTopic, OFFSETS_TOPIC, SHARE_TOPIC, TRANSACTIONS_TOPIC, TopicError, is_internal,
};
use crate::connection::memory::RequestMemory;
use crate::dispatch::Client;
use crate::fetch::Sessions;
use crate::groups::holds::Holds;
use crate::groups::{Groups, Timers};
use crate::guardian::Guardian;
use crate::quota::Quotas;
use crate::readings::Readings;
use crate::share::{ShareSessions, Shares};
use crate::start::StartError;
use crate::telemetry::Telemetry;
use crate::transactions::{Chores, Transactions};

/// What requests may take in memory where `queued.max.request.bytes` leaves it to the broker.
const DEFAULT_REQUEST_MEMORY: usize = 256 << 20;
/// "Never", for timers.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// See the module.
pub(crate) struct Broker {
    pub(crate) node_id: i32,
    pub(crate) cluster_id: Str,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) shares: Shares,
    pub(crate) fetch_sessions: Sessions,
    pub(crate) share_sessions: ShareSessions,
    pub(crate) quotas: Quotas,
    pub(crate) telemetry: Telemetry,
    pub(crate) zookeeper: crate::zookeeper::Shared,
    /// Whom retention waits for.
    pub(crate) holds: Holds,
    /// The newest changes of bookmarks, for whoever asks.
    pub(crate) marks: Arc<crate::plane::Marks>,
    /// What members were handed.
    pub(crate) readings: Arc<Readings>,
    /// How fast groups were seen to read.
    pub(crate) paces: crate::lag::Paces,
    /// How close groups are to what they are held to.
    pub(crate) objectives: crate::lag::Objectives,
    /// Set where this is the guardian of an Apache Kafka: then there are no groups of its own.
    pub(crate) guardian: Option<Arc<Guardian>>,
    /// What clients are told, by listener; filled in once the ports are known.
    endpoints: Mutex<Vec<(Str, i32)>>,
    /// Where the JSON API is, if it is anywhere.
    http: OnceLock<SocketAddr>,
    max_frame: usize,
    max_idle: Duration,
    request_memory: Arc<RequestMemory>,
    may_block: bool,
    stopping: watch::Sender<bool>,
}

impl Broker {
    pub(crate) fn new(
        config: BrokerConfig,
        cluster_id: Str,
        engine: Arc<dyn Engine>,
        timers: Arc<Timers>,
        chores: Arc<Chores>,
        guardian: Option<Arc<Guardian>>,
    ) -> Result<Arc<Broker>, StartError> {
        let memory =
            usize::try_from(config.queued_max_request_bytes).unwrap_or(DEFAULT_REQUEST_MEMORY);
        let readings: Arc<Readings> = Arc::default();
        let broker = Broker {
            node_id: config.node_id,
            cluster_id,
            engine: engine.clone(),
            fetch_sessions: Sessions::new(
                usize::try_from(config.max_incremental_fetch_session_cache_slots).unwrap_or(0),
            ),
            shares: Shares::default(),
            share_sessions: ShareSessions::new(
                usize::try_from(config.group_share_max_share_sessions).unwrap_or(0),
            ),
            quotas: Quotas::new(&config),
            telemetry: Telemetry::new(config.telemetry_max_bytes),
            zookeeper: crate::zookeeper::Shared::default(),
            holds: Holds::default(),
            marks: Arc::default(),
            paces: crate::lag::Paces::default(),
            objectives: crate::lag::Objectives::default(),
            guardian,
            endpoints: Mutex::default(),
            http: OnceLock::new(),
            max_frame: usize::try_from(config.socket_request_max_bytes).unwrap_or(0),
            max_idle: u64::try_from(config.connections_max_idle_ms)
                .map_or(FOREVER, Duration::from_millis),
            request_memory: Arc::new(RequestMemory::new(memory)),
            may_block: tokio::runtime::Handle::try_current()
                .is_ok_and(|runtime| runtime.metrics().num_workers() >= 2),
            stopping: watch::Sender::new(false),
            groups: Groups::new(timers, readings.clone()),
            readings,
            transactions: Transactions::new(chores),
            catalog: Arc::new(Catalog::open(engine, config)?),
        };
        broker.quotas.set(broker.catalog.quotas());
        broker.shares.start_existing(&broker.catalog);
        // A guardian's __consumer_offsets is somebody else's, kept.
        if broker.guardian.is_none() {
            broker.groups.start_existing(&broker.catalog);
        }
        broker.transactions.start_existing(&broker.catalog);
        Ok(Arc::new(broker))
    }

    /// Whether a connection may hold a thread for one write to the disk: where there are others to go on with the rest.
    pub(crate) fn may_block(&self) -> bool {
        self.may_block
    }

    /// Becomes true when the broker is to stop.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// The largest frame that is read, in bytes.
    pub(crate) fn max_frame(&self) -> usize {
        self.max_frame
    }

    /// How long a connection may be silent.
    pub(crate) fn max_idle(&self) -> Duration {
        self.max_idle
    }

    /// What large requests share.
    pub(crate) fn request_memory(&self) -> Arc<RequestMemory> {
        self.request_memory.clone()
    }

    /// Says where clients of each listener are to connect.
    pub(crate) fn set_endpoints(&self, endpoints: Vec<(Str, i32)>) {
        *self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = endpoints;
    }

    /// Says where the JSON API is.
    pub(crate) fn set_http(&self, address: SocketAddr) {
        // Bound once, at the start.
        let _ = self.http.set(address);
    }

    /// Where the JSON API is, if it is anywhere.
    pub(crate) fn http(&self) -> Option<SocketAddr> {
        self.http.get().copied()
    }

    /// Where a client is to connect: the address of the listener by which it came.
    pub(crate) fn endpoint(&self, client: &Client) -> (Str, i32) {
        let endpoints = self
            .endpoints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        endpoints
            .get(client.listener)
            .cloned()
            .unwrap_or_else(|| ("localhost".into(), 9092))
    }

    /// Creates a topic that was asked for and is not there. Blocks.
    pub(crate) fn auto_create_topic(&self, name: &Str) -> Result<(), TopicError> {
        if name == OFFSETS_TOPIC {
            return self.groups.ensure(&self.catalog);
        }
        if name == TRANSACTIONS_TOPIC {
            return self.transactions.ensure(&self.catalog);
        }
        if name == SHARE_TOPIC {
            return self.shares.ensure(&self.catalog);
        }
        if is_internal(name) {
            let why = format!("{name} is the broker's own, and what it is for is not served yet");
            return Err(TopicError::new(ErrorCode::InvalidTopicException, why));
        }
        let partitions = self.catalog.config().num_partitions;
        let new = NewTopic {
            name: name.detached(),
            partitions,
            configs: Default::default(),
        };
        self.catalog.create_topic(&new).map(drop)
    }
}

/// An address as a client can use it.
pub(crate) fn endpoint(advertised: &catchword_config::Listener, bound: SocketAddr) -> (Str, i32) {
    let port = if advertised.port == 0 {
        bound.port()
    } else {
        advertised.port
    };
    let host = match advertised.host.as_str() {
        // Nobody said: whoever came by all interfaces is told the machine's name, as Kafka does.
        "" if bound.ip().is_unspecified() => host_name(),
        "" => bound.ip().to_string(),
        host => host.to_owned(),
    };
    (Str::from(host), i32::from(port))
}

pub(crate) fn host_name() -> String {
    let name = rustix::system::uname();
    name.nodename()
        .to_str()
        .ok()
        .filter(|n| !n.is_empty())
        .unwrap_or("localhost")
        .to_owned()
}
