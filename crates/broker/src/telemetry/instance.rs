//! What is remembered of a client that pushes metrics, and Kafka's rules for when it may. Pure: time comes in.

use std::collections::HashMap;

use catchword_wire::batch::Compression;
use catchword_wire::{ErrorCode, Uuid};

use super::{MAX_INSTANCES, Wanted};

/// Who is silent is remembered for so long at least, in milliseconds.
const MIN_EXPIRY_MS: i64 = 60_000;

/// One client.
#[derive(Debug)]
pub(super) struct Instance {
    /// Of the subscriptions from which the next two follow.
    version: i64,
    subscription_id: i32,
    interval_ms: i32,
    last_ask: Option<i64>,
    last_push: Option<i64>,
    /// It has said that it ends.
    terminating: bool,
    last_error: Option<ErrorCode>,
    last_seen: i64,
}

impl Instance {
    fn new(version: i64, wanted: &Wanted, now: i64) -> Instance {
        Instance {
            version,
            subscription_id: wanted.subscription_id,
            interval_ms: wanted.interval_ms,
            last_ask: None,
            last_push: None,
            terminating: false,
            last_error: None,
            last_seen: now,
        }
    }

    /// Whether an interval has gone by since a moment, if there was one.
    fn is_due(&self, since: Option<i64>, now: i64) -> bool {
        since.is_none_or(|since| now - since >= i64::from(self.interval_ms))
    }

    /// It asks what is wanted. Who was just told that its subscription or its codec is the wrong one may ask at once.
    pub(super) fn ask(&mut self, now: i64) -> Result<(), ErrorCode> {
        let must_ask = matches!(
            self.last_error,
            Some(ErrorCode::UnknownSubscriptionId | ErrorCode::UnsupportedCompressionType)
        );
        if self.is_due(self.last_ask.max(self.last_push), now) {
            self.last_ask = Some(now);
        } else if !must_ask {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        self.last_error = None;
        Ok(())
    }

    /// It pushes. The first push after it has asked may come before the interval is over, as clients spread theirs.
    pub(super) fn push(
        &mut self,
        subscription_id: i32,
        terminating: bool,
        codec: Option<Compression>,
        too_large: bool,
        now: i64,
    ) -> Result<Compression, ErrorCode> {
        let checked = self.check_push(subscription_id, terminating, codec, too_large, now);
        self.terminating = terminating;
        self.last_error = checked.as_ref().err().copied();
        checked
    }

    fn check_push(
        &mut self,
        subscription_id: i32,
        terminating: bool,
        codec: Option<Compression>,
        too_large: bool,
        now: i64,
    ) -> Result<Compression, ErrorCode> {
        if self.terminating {
            return Err(ErrorCode::InvalidRequest);
        }
        if self.last_ask > self.last_push || self.is_due(self.last_push, now) {
            self.last_push = Some(now);
        } else if !terminating {
            return Err(ErrorCode::ThrottlingQuotaExceeded);
        }
        if subscription_id != self.subscription_id {
            return Err(ErrorCode::UnknownSubscriptionId);
        }
        let codec = codec.ok_or(ErrorCode::UnsupportedCompressionType)?;
        if too_large {
            return Err(ErrorCode::TelemetryTooLarge);
        }
        Ok(codec)
    }

    fn is_expired(&self, now: i64) -> bool {
        now - self.last_seen >= MIN_EXPIRY_MS.max(3 * i64::from(self.interval_ms))
    }
}

/// All of them, of which there are at most [`MAX_INSTANCES`].
#[derive(Debug, Default)]
pub(super) struct Instances(HashMap<Uuid, Instance>);

impl Instances {
    /// What was found out for that client, if it was from these subscriptions; without the names of metrics.
    pub(super) fn known(&self, id: Uuid, version: i64) -> Option<Wanted> {
        let instance = self.0.get(&id).filter(|i| i.version == version)?;
        Some(Wanted {
            subscription_id: instance.subscription_id,
            interval_ms: instance.interval_ms,
            metrics: Vec::new(),
        })
    }

    /// The client of that id. It begins anew if it was silent for too long, or if the subscriptions have changed.
    pub(super) fn of(
        &mut self,
        id: Uuid,
        version: i64,
        wanted: &Wanted,
        now: i64,
    ) -> &mut Instance {
        if !self.0.contains_key(&id) {
            self.make_room(now);
        }
        let entry = self.0.entry(id);
        let instance = entry.or_insert_with(|| Instance::new(version, wanted, now));
        if instance.version != version || instance.is_expired(now) {
            *instance = Instance::new(version, wanted, now);
        }
        instance.last_seen = now;
        instance
    }

    /// Notes an error that was found afterwards.
    pub(super) fn failed(&mut self, id: Uuid, error: ErrorCode) {
        if let Some(instance) = self.0.get_mut(&id) {
            instance.last_error = Some(error);
        }
    }

    pub(super) fn forget(&mut self, id: Uuid) {
        self.0.remove(&id);
    }

    /// How many are not expired; the others go.
    pub(super) fn alive(&mut self, now: i64) -> usize {
        self.0.retain(|_, instance| !instance.is_expired(now));
        self.0.len()
    }

    fn make_room(&mut self, now: i64) {
        if self.0.len() < MAX_INSTANCES || self.alive(now) < MAX_INSTANCES {
            return;
        }
        // Some at a time, so that looking for them costs little for each that comes.
        let mut seen: Vec<(i64, Uuid)> = self.0.iter().map(|(id, i)| (i.last_seen, *id)).collect();
        let go = MAX_INSTANCES / 16;
        seen.select_nth_unstable_by_key(go, |(seen, _)| *seen);
        for (_, id) in &seen[..go] {
            self.0.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted {
        subscription_id: 7,
        interval_ms: 1000,
        metrics: Vec::new(),
    };

    fn instance() -> Instance {
        Instance::new(1, &WANTED, 0)
    }

    fn push(instance: &mut Instance, now: i64) -> Result<Compression, ErrorCode> {
        instance.push(7, false, Some(Compression::Zstd), false, now)
    }

    #[test]
    fn a_client_pushes_once_right_after_asking_and_then_once_an_interval() {
        let mut it = instance();
        it.ask(0).unwrap();
        assert!(push(&mut it, 400).is_ok());
        let too_soon = Err(ErrorCode::ThrottlingQuotaExceeded);
        assert_eq!(push(&mut it, 1399), too_soon);
        assert!(push(&mut it, 1400).is_ok());
        assert_eq!(it.ask(2399), Err(ErrorCode::ThrottlingQuotaExceeded));
        assert!(it.ask(2400).is_ok());
    }

    #[test]
    fn a_client_with_the_wrong_subscription_or_codec_may_ask_at_once() {
        let mut it = instance();
        it.ask(0).unwrap();
        let wrong = it.push(8, false, Some(Compression::Zstd), false, 10);
        assert_eq!(wrong, Err(ErrorCode::UnknownSubscriptionId));
        assert_eq!(it.ask(20), Ok(()));
        assert_eq!(it.ask(30), Err(ErrorCode::ThrottlingQuotaExceeded));
        let codec = it.push(7, false, None, false, 1020);
        assert_eq!(codec, Err(ErrorCode::UnsupportedCompressionType));
        assert_eq!(it.ask(1030), Ok(()));
    }

    #[test]
    fn the_last_push_may_come_early_and_nothing_comes_after_it() {
        let mut it = instance();
        it.ask(0).unwrap();
        push(&mut it, 10).unwrap();
        assert!(it.push(7, true, Some(Compression::None), false, 20).is_ok());
        assert_eq!(push(&mut it, 5000), Err(ErrorCode::InvalidRequest));
    }

    #[test]
    fn what_is_too_large_is_refused_after_all_else() {
        let mut it = instance();
        let large = it.push(7, false, Some(Compression::Gzip), true, 0);
        assert_eq!(large, Err(ErrorCode::TelemetryTooLarge));
    }

    #[test]
    fn a_change_of_the_subscriptions_begins_anew() {
        let (mut all, id) = (Instances::default(), Uuid([1; 16]));
        all.of(id, 1, &WANTED, 0).ask(0).unwrap();
        assert!(all.of(id, 1, &WANTED, 1).ask(1).is_err());
        assert!(all.of(id, 2, &WANTED, 2).ask(2).is_ok());
        assert_eq!(all.known(id, 1), None);
        assert_eq!(all.known(id, 2), Some(WANTED));
    }

    #[test]
    fn the_silent_are_forgotten_and_the_most_silent_first_when_there_are_too_many() {
        let mut all = Instances::default();
        let id = |n: usize| Uuid((n as u128 + 1).to_be_bytes());
        for n in 0..MAX_INSTANCES {
            all.of(id(n), 1, &WANTED, n as i64);
        }
        all.of(id(MAX_INSTANCES), 1, &WANTED, 20_000);
        assert!(all.0.len() <= MAX_INSTANCES);
        assert_eq!(all.known(id(0), 1), None);
        assert!(all.known(id(MAX_INSTANCES - 1), 1).is_some());
        assert_eq!(
            all.alive(79_999),
            1,
            "only the last has been seen within a minute"
        );
        assert_eq!(all.alive(80_000), 0);
    }
}
