//! The metrics that clients push (KIP-714): who is asked for what, how often, and who may push now.
//!
//! Invariant: what is remembered of clients is bounded, see [`MAX_INSTANCES`], and goes when they have been silent for
//! three intervals, or when their connection ends. What they push is checked, counted and let go: it is never kept.
//!
//! The rules stand in `instance.rs`, pure; this file has the lock. Neither knows of requests, nor where settings come from.

mod instance;
mod subscriptions;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_wire::batch::{Compression, inflated_len};
use catchword_wire::messages::PushTelemetryRequest;
use catchword_wire::{ErrorCode, Str, Uuid};

use crate::dispatch::Client;
use instance::Instances;
pub(crate) use subscriptions::{Subscriptions, Wanted};

/// Client instances that are remembered: as many as Kafka does. Who was silent the longest goes for a new one.
const MAX_INSTANCES: usize = 16_384;

/// What has happened since the start.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Clients that are remembered now.
    pub(crate) instances: usize,
    /// Pushes with metrics that were taken.
    pub(crate) pushes: u64,
    /// Bytes of such metrics, inflated.
    pub(crate) bytes: u64,
    /// Pushes that were refused.
    pub(crate) refused: u64,
}

/// Who asks: what a subscription can be matched against.
pub(crate) struct Asker<'a> {
    pub(crate) client: &'a Client,
    pub(crate) client_id: &'a str,
}

/// See the module.
pub(crate) struct Telemetry {
    max_bytes: i32,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    instances: Instances,
    counts: Counts,
}

impl Telemetry {
    /// `max_bytes`: what a push may have.
    pub(crate) fn new(max_bytes: i32) -> Telemetry {
        Telemetry {
            max_bytes,
            inner: Mutex::default(),
        }
    }

    /// The most bytes of a push.
    pub(crate) fn max_bytes(&self) -> i32 {
        self.max_bytes
    }

    /// What a client is asked for.
    ///
    /// # Errors
    /// `THROTTLING_QUOTA_EXCEEDED` for one that asks again too soon.
    pub(crate) fn subscribe(
        &self,
        id: Uuid,
        asker: &Asker<'_>,
        subscriptions: &Subscriptions,
        now: i64,
    ) -> Result<Wanted, ErrorCode> {
        let wanted = subscriptions.wanted(id, asker);
        let mut inner = self.lock();
        let instance = inner.instances.of(id, subscriptions.version, &wanted, now);
        asker.client.remember_instance(id);
        instance.ask(now)?;
        Ok(wanted)
    }

    /// Takes what a client pushes.
    ///
    /// # Errors
    /// Kafka's code for why it is not taken.
    pub(crate) fn push(
        &self,
        request: PushTelemetryRequest,
        asker: &Asker<'_>,
        subscriptions: &Arc<Subscriptions>,
        now: i64,
    ) -> Result<(), ErrorCode> {
        let taken = self.try_push(request, asker, subscriptions, now);
        let counts = &mut self.lock().counts;
        match taken {
            Ok(0) => {}
            Ok(bytes) => {
                counts.pushes += 1;
                counts.bytes += bytes;
            }
            Err(_) => counts.refused += 1,
        }
        taken.map(drop)
    }

    /// How many bytes of metrics came, inflated.
    fn try_push(
        &self,
        request: PushTelemetryRequest,
        asker: &Asker<'_>,
        subscriptions: &Subscriptions,
        now: i64,
    ) -> Result<u64, ErrorCode> {
        let id = request.client_instance_id;
        if is_reserved(id) {
            return Err(ErrorCode::InvalidRequest);
        }
        let codec = u8::try_from(request.compression_type)
            .ok()
            .and_then(Compression::from_id);
        let max = u64::try_from(self.max_bytes).unwrap_or(0);
        let too_large = request.metrics.len() as u64 > max;
        let known = self.lock().instances.known(id, subscriptions.version);
        // The patterns of the subscriptions are only tried for a client that is new, or when they changed.
        let wanted = known.unwrap_or_else(|| subscriptions.wanted(id, asker));
        let codec = {
            let mut inner = self.lock();
            let instance = inner.instances.of(id, subscriptions.version, &wanted, now);
            asker.client.remember_instance(id);
            instance.push(
                request.subscription_id,
                request.terminating,
                codec,
                too_large,
                now,
            )?
        };
        // Kafka does not parse what it hands on either: that it inflates within the bound is all that is asked.
        let inflated = inflated_len(codec, request.metrics, max);
        inflated.map_err(|_| {
            self.lock().instances.failed(id, ErrorCode::InvalidRecord);
            ErrorCode::InvalidRecord
        })
    }

    /// Forgets the client that a connection had, which ends.
    pub(crate) fn disconnected(&self, client: &Client) {
        if let Some(id) = client.instance() {
            self.lock().instances.forget(id);
        }
    }

    /// What has happened, at a time in milliseconds.
    pub(crate) fn counts(&self, now: i64) -> Counts {
        let mut inner = self.lock();
        Counts {
            instances: inner.instances.alive(now),
            ..inner.counts
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids that no client has: Kafka's reserved ones.
fn is_reserved(id: Uuid) -> bool {
    const ONE: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    id.is_zero() || id == ONE
}

impl Asker<'_> {
    /// Hands what is known of the client under one of the names that patterns can be about to a check.
    fn parameter(&self, id: Uuid, name: &str, check: &dyn Fn(&str) -> bool) -> bool {
        let software = self.client.software.get();
        // Kafka's word for a client that did not say.
        let told = |pick: fn(&(Str, Str)) -> &Str| software.map_or("unknown", |s| pick(s).as_str());
        match name {
            "client_instance_id" => check(&id.to_string()),
            "client_id" => check(self.client_id),
            "client_software_name" => check(told(|s| &s.0)),
            "client_software_version" => check(told(|s| &s.1)),
            "client_source_address" => check(self.client.host.trim_start_matches('/')),
            "client_source_port" => check(&self.client.port.to_string()),
            _ => false,
        }
    }
}
