//! Quotas of clients: how much each moved lately, and for how long it is held up (KIP-13, KIP-124, KIP-219,
//! KIP-599, KIP-612).
//!
//! Invariant: without quotas of a kind a request costs one load of a flag. What is remembered of clients is bounded,
//! see [`MAX_CLIENTS`].

mod bucket;
mod mutations;
mod rate;
mod table;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use catchword_config::BrokerConfig;

use bucket::Bucket;
pub(crate) use mutations::Mutations;
use rate::{Rate, Windows};
pub(crate) use table::{
    CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, Entity,
    PRODUCER_BYTE_RATE, QuotaTable, REQUEST_PERCENTAGE,
};

/// Clients of a kind of quota that are told apart; more share one rate.
const MAX_CLIENTS: usize = 4096;
/// Bytes of a client id that count.
const MAX_ID: usize = 256;
/// Everybody's name while nobody has to say who they are: Kafka's.
const USER: &str = "ANONYMOUS";

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Produce,
    Fetch,
    Request,
    /// Partitions that are created and deleted.
    Mutation,
    /// Connections from an address.
    Connection,
}

impl Kind {
    const ALL: [Kind; 5] = [
        Kind::Produce,
        Kind::Fetch,
        Kind::Request,
        Kind::Mutation,
        Kind::Connection,
    ];

    const fn key(self) -> &'static str {
        match self {
            Kind::Produce => PRODUCER_BYTE_RATE,
            Kind::Fetch => CONSUMER_BYTE_RATE,
            Kind::Request => REQUEST_PERCENTAGE,
            Kind::Mutation => CONTROLLER_MUTATION_RATE,
            Kind::Connection => CONNECTION_CREATION_RATE,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Whose rate it is: kind, and user and client id (or address) where they have one alone.
type Who = (Kind, bool, Option<String>);

/// What is remembered of each client.
struct Clients<M>(HashMap<Who, M>);

impl<M> Default for Clients<M> {
    fn default() -> Self {
        Clients(HashMap::new())
    }
}

impl<M: Default> Clients<M> {
    /// A client's; when there are too many, idle ones are forgotten, and then the rest share one.
    fn of(&mut self, mut who: Who, mut is_idle: impl FnMut(&mut M) -> bool) -> &mut M {
        if self.0.len() >= MAX_CLIENTS && !self.0.contains_key(&who) {
            self.0.retain(|_, meter| !is_idle(meter));
            if self.0.len() >= MAX_CLIENTS {
                who.2 = None;
            }
        }
        self.0.entry(who).or_default()
    }
}

/// See the module.
pub(crate) struct Quotas {
    /// The kinds of which there are quotas.
    kinds: AtomicU8,
    windows: Windows,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    table: Arc<QuotaTable>,
    rates: Clients<Rate>,
    /// Connections of everybody.
    connections: Rate,
    buckets: Clients<Bucket>,
}

impl Quotas {
    pub(crate) fn new(config: &BrokerConfig) -> Quotas {
        Quotas {
            kinds: AtomicU8::new(0),
            windows: Windows {
                num: i64::from(config.quota_window_num),
                size_ms: i64::from(config.quota_window_size_seconds) * 1000,
            },
            inner: Mutex::default(),
        }
    }

    /// Puts quotas into force.
    pub(crate) fn set(&self, table: Arc<QuotaTable>) {
        let kinds = Kind::ALL.iter().filter(|kind| table.any(kind.key()));
        let bits = kinds.fold(0, |bits, kind| bits | kind.bit());
        self.lock().table = table;
        self.kinds.store(bits, Ordering::Release);
    }

    /// Whether there are quotas of that kind.
    pub(crate) fn limits(&self, kind: Kind) -> bool {
        self.kinds.load(Ordering::Relaxed) & kind.bit() != 0
    }

    /// Counts what a client moved (bytes; for requests, percent of a second) at a time in milliseconds. Says for how many
    /// milliseconds it is to be held up.
    pub(crate) fn record(&self, kind: Kind, client_id: &str, amount: f64, now: i64) -> i32 {
        let windows = self.windows;
        let wait = self.with_rate(kind, client_id, now, |rate, bound| {
            rate.record(amount, bound, windows, now)
        });
        let wait = match kind {
            Kind::Request => wait.unwrap_or(0).min(windows.size_ms),
            _ => wait.unwrap_or(0),
        };
        i32::try_from(wait).unwrap_or(i32::MAX)
    }

    /// Takes back what was counted for an answer that is not given.
    pub(crate) fn take_back(&self, kind: Kind, client_id: &str, amount: f64, now: i64) {
        self.with_rate(kind, client_id, now, |rate, _| rate.take_back(amount));
    }

    /// The most that can be had at once without being held up for certain.
    pub(crate) fn most_at_once(&self, kind: Kind, client_id: &str) -> usize {
        let limit = self.lock().table.limit(kind.key(), USER, client_id);
        let seconds = (self.windows.num - 1).max(1) * self.windows.size_ms / 1000;
        limit.map_or(usize::MAX, |limit| (limit.bound * seconds as f64) as usize)
    }

    /// For how many milliseconds the client owes for partitions that it has created or deleted.
    pub(crate) fn owed_ms(&self, client_id: &str, now: i64) -> i32 {
        self.take(client_id, 0.0, now)
    }

    /// Counts partitions that a client creates or deletes; says for how many milliseconds it owes for them.
    pub(crate) fn take(&self, client_id: &str, partitions: f64, now: i64) -> i32 {
        let windows = self.windows;
        let mut inner = self.lock();
        let Some((who, bound)) = who(&inner.table, Kind::Mutation, client_id) else {
            return 0;
        };
        let is_idle = |bucket: &mut Bucket| bucket.is_full(bound, windows, now);
        let bucket = inner.buckets.of(who, is_idle);
        bucket.take(partitions, bound, windows, now);
        i32::try_from(bucket.owed_ms(bound, windows, now)).unwrap_or(i32::MAX)
    }

    /// Counts a connection. Says for how many milliseconds the next one must wait (`max.connection.creation.rate`).
    pub(crate) fn connection(&self, most_a_second: i32, now: i64) -> u64 {
        let mut inner = self.lock();
        let wait = inner
            .connections
            .record(1.0, f64::from(most_a_second), self.windows, now);
        u64::try_from(wait).unwrap_or(0)
    }

    /// Counts a connection from an address. One too many is not counted: it is to be closed, so many milliseconds later.
    pub(crate) fn connection_from(&self, address: IpAddr, now: i64) -> Option<u64> {
        if !self.limits(Kind::Connection) {
            return None;
        }
        let address = address.to_string();
        let mut inner = self.lock();
        let bound = inner.table.connections_of(&address)?;
        let is_idle = |rate: &mut Rate| rate.is_idle(self.windows, now);
        let rate = inner
            .rates
            .of((Kind::Connection, false, Some(address)), is_idle);
        let wait = rate.record(1.0, bound, self.windows, now);
        if wait <= 0 {
            return None;
        }
        rate.take_back(1.0);
        u64::try_from(wait).ok()
    }

    fn with_rate<T>(
        &self,
        kind: Kind,
        client_id: &str,
        now: i64,
        f: impl FnOnce(&mut Rate, f64) -> T,
    ) -> Option<T> {
        let mut inner = self.lock();
        let (who, bound) = who(&inner.table, kind, client_id)?;
        let is_idle = |rate: &mut Rate| rate.is_idle(self.windows, now);
        Some(f(inner.rates.of(who, is_idle), bound))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose rate it is, and its bound, if there is one.
fn who(table: &QuotaTable, kind: Kind, client_id: &str) -> Option<(Who, f64)> {
    let limit = table.limit(kind.key(), USER, client_id)?;
    let id = limit
        .by_client_id
        .then(|| client_id.chars().take(MAX_ID).collect());
    Some(((kind, limit.by_user, id), limit.bound))
}
