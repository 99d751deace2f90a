//! Quotas of clients: how much each moved lately, and for how long it is held up (KIP-13, KIP-124, KIP-219).
//!
//! Invariant: without quotas of a kind a request costs one load of a flag. What is remembered of clients is bounded,
//! see [`MAX_CLIENTS`].

mod rate;
mod table;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use catchword_config::BrokerConfig;

use rate::{Rate, Windows};
pub(crate) use table::{
    CONSUMER_BYTE_RATE, Entity, PRODUCER_BYTE_RATE, QuotaTable, REQUEST_PERCENTAGE,
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
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Produce, Kind::Fetch, Kind::Request];

    const fn key(self) -> &'static str {
        match self {
            Kind::Produce => PRODUCER_BYTE_RATE,
            Kind::Fetch => CONSUMER_BYTE_RATE,
            Kind::Request => REQUEST_PERCENTAGE,
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Whose rate it is: kind, and user and client id where they have one alone.
type Who = (Kind, bool, Option<String>);

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
    rates: HashMap<Who, Rate>,
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

    fn with_rate<T>(
        &self,
        kind: Kind,
        client_id: &str,
        now: i64,
        f: impl FnOnce(&mut Rate, f64) -> T,
    ) -> Option<T> {
        let mut inner = self.lock();
        let limit = inner.table.limit(kind.key(), USER, client_id)?;
        let id = limit
            .by_client_id
            .then(|| client_id.chars().take(MAX_ID).collect());
        let mut who = (kind, limit.by_user, id);
        if inner.rates.len() >= MAX_CLIENTS && !inner.rates.contains_key(&who) {
            let windows = self.windows;
            inner.rates.retain(|_, rate| !rate.is_idle(windows, now));
            if inner.rates.len() >= MAX_CLIENTS {
                who.2 = None;
            }
        }
        Some(f(inner.rates.entry(who).or_default(), limit.bound))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
