//! What clients were handed: how far the records go that Fetch has brought to each connection, so that it can be said what
//! of it a group has not committed and would be given again.
//!
//! A Fetch does not say for which group it reads, and clients fetch by other connections than the one that their
//! heartbeats come by. So readers are known as the members of groups are: by client id and host. Where that fits several
//! connections that were handed different things, nothing is said.
//!
//! Memory, and bounded: after a restart it begins anew. A fetch that brings records pays one look into a map that is its
//! connection's own, for each partition; one that brings none, or is no member's, pays nothing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use catchword_coordinator::Handed;
use catchword_wire::{Str, Uuid};

/// Partitions of connections, about 60 bytes each. Of more nothing is known.
const MAX_PLACES: usize = 200_000;
/// Connections under one client id from one host; where there are more, nobody could tell them apart anyway.
const MAX_ALIKE: usize = 64;
/// How long it is known what a connection was handed after it was closed, ms: no session lasts longer, unless
/// `group.max.session.timeout.ms` was raised.
const KEPT_CLOSED_MS: u64 = 30 * 60 * 1000;
/// Two connections that were handed records of a partition within this time both read it, as far as can be told, ms.
const TOGETHER_MS: u64 = 60_000;

/// A client id, and the host that it connects from.
type Name = (Str, Str);
/// A topic's id, and the partition.
type Place = (Uuid, i32);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    names: Mutex<HashMap<Name, Alike>>,
    /// Rises with each new name, so that a connection that was nobody's is looked up again only then.
    version: AtomicU64,
    places: Arc<AtomicUsize>,
}

/// All connections that have one name.
#[derive(Debug, Default)]
struct Alike {
    /// How many of them are members' that heartbeat.
    beating: usize,
    readings: Vec<Arc<Reading>>,
    /// There were too many at once.
    is_crowd: bool,
}

/// What one connection was handed.
#[derive(Debug)]
pub(crate) struct Reading {
    handed: Mutex<HashMap<Place, Noted>>,
    /// When its connection was closed, ms; 0: it is open.
    closed_ms: AtomicU64,
    /// Of all readings together.
    places: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Noted {
    handed: Handed,
    at_ms: u64,
}

/// A connection's own share in it.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    beats: AtomicBool,
    name: OnceLock<Name>,
    /// The version of the names at the last look.
    looked: AtomicU64,
    reading: OnceLock<Arc<Reading>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Readings {
    /// A member of some group speaks on the connection: from now on it is noted what clients of this name are handed.
    pub(crate) fn beats(&self, seat: &Seat, client_id: &Str, host: &Str, now_ms: u64) {
        if client_id.is_empty() || seat.beats.swap(true, Ordering::Relaxed) {
            return;
        }
        let name = seat
            .name
            .get_or_init(|| (client_id.detached(), host.clone()));
        let mut names = lock(&self.names);
        if !names.contains_key(name) {
            names.retain(|_, alike| alike.is_wanted(now_ms));
        }
        names.entry(name.clone()).or_default().beating += 1;
        // Whoever sees the new version must find the name.
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Where it is to be noted what the connection is handed; `None` if it is no member's.
    pub(crate) fn of(&self, seat: &Seat, client_id: &Str, host: &Str) -> Option<Arc<Reading>> {
        if let Some(reading) = seat.reading.get() {
            return Some(reading.clone());
        }
        let version = self.version.load(Ordering::Acquire);
        if seat.looked.swap(version, Ordering::Relaxed) == version {
            return None;
        }
        let name = seat
            .name
            .get_or_init(|| (client_id.detached(), host.clone()));
        let mut names = lock(&self.names);
        let alike = names.get_mut(name)?;
        if alike.readings.len() >= MAX_ALIKE {
            alike.is_crowd = true;
            return None;
        }
        let reading = seat.reading.get_or_init(|| {
            Arc::new(Reading {
                handed: Mutex::default(),
                closed_ms: AtomicU64::new(0),
                places: self.places.clone(),
            })
        });
        alike.readings.push(reading.clone());
        Some(reading.clone())
    }

    /// The connection is closed.
    pub(crate) fn left(&self, seat: &Seat, now_ms: u64) {
        let Some(name) = seat.name.get() else { return };
        if let Some(reading) = seat.reading.get() {
            reading.closed_ms.store(now_ms.max(1), Ordering::Relaxed);
        }
        let mut names = lock(&self.names);
        let Some(alike) = names.get_mut(name) else {
            return;
        };
        if seat.beats.load(Ordering::Relaxed) {
            alike.beating = alike.beating.saturating_sub(1);
        }
        alike.tidy(now_ms);
        if !alike.is_wanted(now_ms) {
            names.remove(name);
        }
    }

    /// What the clients of this name were handed of a partition. `None` if
    /// they were handed none, or if several of them read it and are not equally far.
    pub(crate) fn handed(
        &self,
        client_id: &Str,
        host: &Str,
        topic_id: Uuid,
        partition: i32,
    ) -> Option<Handed> {
        let names = lock(&self.names);
        // The names of members outlive their requests, so cloning them copies nothing.
        let alike = names.get(&(client_id.clone(), host.clone()))?;
        alike.handed(&(topic_id, partition))
    }
}

impl Alike {
    fn is_wanted(&self, now_ms: u64) -> bool {
        self.beating > 0 || self.readings.iter().any(|reading| reading.is_kept(now_ms))
    }

    /// Forgets connections that were closed long ago, and, where there are many, those that were closed first.
    fn tidy(&mut self, now_ms: u64) {
        self.readings.retain(|reading| reading.is_kept(now_ms));
        if self.readings.len() > MAX_ALIKE / 2 {
            self.readings.retain(|reading| reading.is_open());
        }
        if self.readings.is_empty() {
            self.is_crowd = false;
        }
    }

    fn handed(&self, place: &Place) -> Option<Handed> {
        if self.is_crowd {
            return None;
        }
        let of = |is_open: bool| {
            let some = self.readings.iter().filter(move |r| r.is_open() == is_open);
            some.filter_map(|reading| lock(&reading.handed).get(place).copied())
                .collect::<Vec<_>>()
        };
        let open = of(true);
        if open.is_empty() {
            // One of them was open when it was handed the last; who of several that was is known by the time.
            return of(false)
                .into_iter()
                .max_by_key(|noted| noted.at_ms)
                .map(|noted| noted.handed);
        }
        let last = open.iter().max_by_key(|noted| noted.at_ms)?;
        let together = |noted: &&Noted| noted.at_ms + TOGETHER_MS >= last.at_ms;
        let mut reading = open.iter().filter(together);
        reading
            .all(|noted| noted.handed.to == last.handed.to)
            .then_some(last.handed)
    }
}

impl Reading {
    fn is_open(&self) -> bool {
        self.closed_ms.load(Ordering::Relaxed) == 0
    }

    fn is_kept(&self, now_ms: u64) -> bool {
        match self.closed_ms.load(Ordering::Relaxed) {
            0 => true,
            closed_ms => now_ms.saturating_sub(closed_ms) < KEPT_CLOSED_MS,
        }
    }

    /// Notes what leaves for the connection. Where it went back, it begins there.
    pub(crate) fn note(&self, parts: impl IntoIterator<Item = (Uuid, i32, Handed)>, now_ms: u64) {
        let mut known = lock(&self.handed);
        for (topic_id, partition, handed) in parts {
            let place = (topic_id, partition);
            let now = |from: i64| Noted {
                handed: Handed { from, ..handed },
                at_ms: now_ms,
            };
            if let Some(noted) = known.get_mut(&place) {
                *noted = now(noted.handed.from.min(handed.from));
            } else if self.places.fetch_add(1, Ordering::Relaxed) < MAX_PLACES {
                known.insert(place, now(handed.from));
            } else {
                self.places.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let handed = self
            .handed
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.places.fetch_sub(handed.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Uuid = Uuid([7; 16]);

    /// A client with a connection for its heartbeats, and one by which it fetches.
    struct Reader {
        beating: Seat,
        fetching: Seat,
        id: Str,
    }

    fn host() -> Str {
        "/10.0.0.7".into()
    }

    impl Reader {
        fn member(readings: &Readings, id: &'static str) -> Reader {
            let reader = Reader::outsider(id);
            readings.beats(&reader.beating, &reader.id, &host(), 0);
            reader
        }

        fn outsider(id: &'static str) -> Reader {
            Reader {
                beating: Seat::default(),
                fetching: Seat::default(),
                id: id.into(),
            }
        }

        fn fetch(&self, readings: &Readings, end: i64, now_ms: u64) {
            if let Some(reading) = readings.of(&self.fetching, &self.id, &host()) {
                let (from, to) = (end - 4, end);
                reading.note([(TOPIC, 0, Handed { from, to })], now_ms);
            }
        }

        fn close(&self, readings: &Readings, now_ms: u64) {
            readings.left(&self.fetching, now_ms);
            readings.left(&self.beating, now_ms);
        }
    }

    fn handed(readings: &Readings, id: &'static str) -> Option<i64> {
        let handed = readings.handed(&id.into(), &host(), TOPIC, 0);
        handed.map(|handed| handed.to)
    }

    #[test]
    fn what_a_member_was_handed_last_is_known_by_its_name() {
        let readings = Readings::default();
        let member = Reader::member(&readings, "a");
        member.fetch(&readings, 10, 1);
        member.fetch(&readings, 20, 2);
        let both = readings.handed(&"a".into(), &host(), TOPIC, 0);
        assert_eq!(both, Some(Handed { from: 6, to: 20 }));
        assert_eq!(handed(&readings, "a"), Some(20));
        member.fetch(&readings, 5, 3);
        assert_eq!(handed(&readings, "a"), Some(5), "it went back");
        assert_eq!(handed(&readings, "b"), None);
        assert_eq!(
            readings.handed(&"a".into(), &"/10.0.0.8".into(), TOPIC, 0),
            None
        );
    }

    #[test]
    fn of_clients_that_are_no_members_nothing_is_kept() {
        let readings = Readings::default();
        let outsider = Reader::outsider("o");
        outsider.fetch(&readings, 10, 1);
        assert_eq!(
            (
                handed(&readings, "o"),
                readings.places.load(Ordering::Relaxed)
            ),
            (None, 0)
        );
        readings.beats(&outsider.beating, &outsider.id, &host(), 2);
        outsider.fetch(&readings, 20, 3);
        assert_eq!(handed(&readings, "o"), Some(20), "it has become one");
    }

    #[test]
    fn where_two_readers_have_one_name_nothing_is_said_unless_they_are_equally_far() {
        let readings = Readings::default();
        let (one, other) = (
            Reader::member(&readings, "rdkafka"),
            Reader::member(&readings, "rdkafka"),
        );
        one.fetch(&readings, 10, 1);
        other.fetch(&readings, 30, 2);
        assert_eq!(handed(&readings, "rdkafka"), None);
        one.fetch(&readings, 30, 3);
        assert_eq!(handed(&readings, "rdkafka"), Some(30));
        // The partition went over to the other, and the one reads it no more.
        other.fetch(&readings, 40, 3 + TOGETHER_MS + 1);
        assert_eq!(handed(&readings, "rdkafka"), Some(40));
    }

    #[test]
    fn what_a_connection_was_handed_outlives_it_until_its_member_must_be_gone() {
        let readings = Readings::default();
        let member = Reader::member(&readings, "a");
        member.fetch(&readings, 10, 1);
        member.close(&readings, 2);
        assert_eq!(handed(&readings, "a"), Some(10));
        let again = Reader::member(&readings, "a");
        assert_eq!(handed(&readings, "a"), Some(10), "it has connected again");
        again.fetch(&readings, 4, 3);
        assert_eq!(handed(&readings, "a"), Some(4));
        again.close(&readings, 4);
        drop((member, again));
        let later = 4 + KEPT_CLOSED_MS;
        let other = Reader::outsider("b");
        readings.beats(&other.beating, &other.id, &host(), later);
        other.close(&readings, later);
        assert_eq!(
            (
                lock(&readings.names).len(),
                readings.places.load(Ordering::Relaxed)
            ),
            (0, 0)
        );
    }

    #[test]
    fn a_crowd_under_one_name_is_not_told_apart() {
        let readings = Readings::default();
        let crowd: Vec<Reader> = (0..=MAX_ALIKE)
            .map(|_| Reader::member(&readings, "rdkafka"))
            .collect();
        crowd
            .iter()
            .for_each(|reader| reader.fetch(&readings, 10, 1));
        assert_eq!(handed(&readings, "rdkafka"), None);
        crowd.iter().for_each(|reader| reader.close(&readings, 2));
        assert_eq!(
            readings.places.load(Ordering::Relaxed),
            MAX_ALIKE,
            "its own connections hold them still"
        );
        drop(crowd);
        let kept = readings.places.load(Ordering::Relaxed);
        assert!(kept <= MAX_ALIKE / 2, "of those that are closed: {kept}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let readings = Readings::default();
        let member = Reader::member(&readings, "a");
        let reading = readings.of(&member.fetching, &member.id, &host()).unwrap();
        let all = 0..MAX_PLACES as i32 + 5;
        let one = Handed { from: 0, to: 1 };
        reading.note(all.map(|partition| (TOPIC, partition, one)), 1);
        assert_eq!(lock(&reading.handed).len(), MAX_PLACES);
    }
}
