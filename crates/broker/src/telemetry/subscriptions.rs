//! The subscriptions in force, and what follows from them for a client. Pure.

use std::collections::{BTreeMap, BTreeSet};

use catchword_config::Subscription;
use catchword_wire::{Str, Uuid};

use super::Asker;

/// How often a client asks again for which there is no subscription, in milliseconds: Kafka's default of `interval.ms`.
const DEFAULT_INTERVAL_MS: i32 = 300_000;
/// The name that stands for all metrics.
const ALL: &str = "*";

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    /// Differs from that of any other set there was.
    pub(crate) version: i64,
    /// What was set, by name.
    set: BTreeMap<Str, BTreeMap<String, String>>,
    ready: Vec<Subscription>,
}

/// What a client is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Names the set: it changes with it, and is the same again after a restart.
    pub(crate) subscription_id: i32,
    /// Milliseconds between two pushes.
    pub(crate) interval_ms: i32,
    /// Prefixes of metrics' names, or `*` alone. Empty where nothing is wanted, and where only the id was asked for.
    pub(crate) metrics: Vec<Str>,
}

impl Subscriptions {
    /// Takes over what is set; `None` if it is what this has already.
    pub(crate) fn with(
        &self,
        set: BTreeMap<Str, BTreeMap<String, String>>,
        version: i64,
    ) -> Option<Subscriptions> {
        if set == self.set {
            return None;
        }
        let resolve = |(name, overrides): (&Str, &BTreeMap<String, String>)| {
            let resolved = Subscription::resolve(overrides);
            resolved
                .inspect_err(|error| tracing::warn!("client metrics {name}: {error}; left out"))
                .ok()
        };
        Some(Subscriptions {
            ready: set.iter().filter_map(resolve).collect(),
            version,
            set,
        })
    }

    /// What the client of that id is asked for.
    pub(super) fn wanted(&self, id: Uuid, asker: &Asker<'_>) -> Wanted {
        let mut interval_ms = DEFAULT_INTERVAL_MS;
        let mut metrics = BTreeSet::new();
        for subscription in &self.ready {
            if subscription.matches(|name, check| asker.parameter(id, name, check)) {
                interval_ms = interval_ms.min(subscription.interval_ms);
                metrics.extend(subscription.metrics.iter().map(String::as_str));
            }
        }
        if metrics.contains(ALL) {
            metrics = BTreeSet::from([ALL]);
        }
        let metrics: Vec<Str> = metrics.into_iter().map(Str::copy).collect();
        Wanted {
            subscription_id: subscription_id(&metrics, interval_ms, id),
            interval_ms,
            metrics,
        }
    }
}

/// A checksum of what is wanted, with the client's id mixed in.
fn subscription_id(metrics: &[Str], interval_ms: i32, id: Uuid) -> i32 {
    let mut bytes = interval_ms.to_be_bytes().to_vec();
    for name in metrics {
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
    }
    let sum = crc_fast::crc32_iscsi(&bytes);
    let words = id.0.chunks_exact(4);
    let mixed = words.fold(sum, |sum, w| {
        sum ^ w.iter().fold(0, |word, b| word << 8 | u32::from(*b))
    });
    i32::from_ne_bytes(mixed.to_ne_bytes())
}
