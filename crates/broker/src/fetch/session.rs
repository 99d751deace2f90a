//! Incremental fetch sessions (KIP-227): the broker remembers what a consumer fetches, so that requests name only what
//! changed and answers only what is new.
//!
//! Invariant: a session answers one epoch after the other; whoever is out of step is told so and begins anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use catchword_wire::messages::fetch_request::{FetchPartition, FetchRequest};
use catchword_wire::messages::fetch_response::PartitionData;
use catchword_wire::{ErrorCode, Str, Uuid};

use super::read::Want;
use crate::random;

/// Begins a session.
const INITIAL_EPOCH: i32 = 0;
/// Ends it: a full fetch without a session.
const FINAL_EPOCH: i32 = -1;
/// A session that was silent for so long may give its place to a new one (`min.incremental.fetch.session.eviction.ms`).
const EVICTABLE_AFTER_MS: i64 = 120_000;

/// A topic as the session's requests name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum TopicKey {
    Name(Str),
    Id(Uuid),
}

/// A partition in a session.
#[derive(Debug, Clone)]
struct Cached {
    want: Want,
    high_watermark: i64,
    log_start: i64,
    failed: bool,
}

#[derive(Debug)]
pub(crate) struct Session {
    id: i32,
    /// The epoch that the next request must have.
    epoch: i32,
    by_id: bool,
    last_used_ms: i64,
    /// Partitions by turn: those that gave records go to the end, so that all get their share of a limited answer.
    turns: BTreeMap<u64, Cached>,
    places: HashMap<(TopicKey, i32), u64>,
    next_turn: u64,
}

/// All sessions of the broker.
pub(crate) struct Sessions {
    slots: usize,
    live: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

/// What a request asks for, resolved.
pub(crate) struct Opened {
    pub(crate) wants: Vec<Want>,
    kind: Kind,
}

enum Kind {
    /// No session, or one that just ended.
    Sessionless,
    /// A full fetch; with a session if there was room for one.
    Full(Option<Arc<Mutex<Session>>>),
    Incremental(Arc<Mutex<Session>>),
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    /// Room for `slots` sessions: `max.incremental.fetch.session.cache.slots`.
    pub(crate) fn new(slots: usize) -> Sessions {
        Sessions {
            slots,
            live: Mutex::default(),
        }
    }

    /// Finds out what a request asks for.
    ///
    /// # Errors
    /// The code that the whole request is answered with.
    pub(crate) fn open(
        &self,
        request: &FetchRequest,
        version: i16,
        now_ms: i64,
    ) -> Result<Opened, ErrorCode> {
        let by_id = version >= 13;
        if matches!(request.session_epoch, INITIAL_EPOCH | FINAL_EPOCH) {
            if request.session_id != 0 {
                lock(&self.live).remove(&request.session_id);
            }
            let wants: Vec<Want> = wants(request, by_id).collect();
            if request.session_epoch == FINAL_EPOCH || version < 7 || wants.is_empty() {
                return Ok(Opened {
                    wants,
                    kind: Kind::Sessionless,
                });
            }
            let session = self.begin(&wants, by_id, now_ms);
            return Ok(Opened {
                wants,
                kind: Kind::Full(session),
            });
        }
        let found = lock(&self.live).get(&request.session_id).cloned();
        let session = found.ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let wants = {
            let mut inner = lock(&session);
            if inner.epoch != request.session_epoch {
                return Err(ErrorCode::InvalidFetchSessionEpoch);
            }
            if inner.by_id != by_id {
                return Err(ErrorCode::FetchSessionTopicIdError);
            }
            inner.update(request, by_id);
            inner.last_used_ms = now_ms;
            inner.epoch = if inner.epoch == i32::MAX {
                1
            } else {
                inner.epoch + 1
            };
            inner
                .turns
                .values()
                .map(|cached| cached.want.clone())
                .collect::<Vec<_>>()
        };
        if wants.is_empty() {
            lock(&self.live).remove(&request.session_id);
            return Ok(Opened {
                wants,
                kind: Kind::Sessionless,
            });
        }
        Ok(Opened {
            wants,
            kind: Kind::Incremental(session),
        })
    }

    /// A new session where there is room.
    fn begin(&self, wants: &[Want], by_id: bool, now_ms: i64) -> Option<Arc<Mutex<Session>>> {
        let mut live = lock(&self.live);
        if live.len() >= self.slots {
            let oldest = live.iter().map(|(id, s)| (lock(s).last_used_ms, *id)).min();
            match oldest {
                Some((last_used_ms, id)) if now_ms - last_used_ms > EVICTABLE_AFTER_MS => {
                    drop(live.remove(&id))
                }
                _ => return None,
            }
        }
        let id = loop {
            let id = (random::number() & 0x7fff_ffff) as i32;
            if id != 0 && !live.contains_key(&id) {
                break id;
            }
        };
        let mut session = Session {
            id,
            epoch: 1,
            by_id,
            last_used_ms: now_ms,
            turns: BTreeMap::new(),
            places: HashMap::new(),
            next_turn: 0,
        };
        wants.iter().for_each(|want| session.put(want.detached()));
        let session = Arc::new(Mutex::new(session));
        live.insert(id, session.clone());
        Some(session)
    }
}

impl Session {
    fn put(&mut self, want: Want) {
        let key = (want.topic.clone(), want.partition);
        match self.places.get(&key) {
            Some(turn) => {
                if let Some(cached) = self.turns.get_mut(turn) {
                    cached.want = want;
                }
            }
            None => {
                let turn = self.next_turn;
                self.next_turn += 1;
                self.places.insert(key, turn);
                self.turns.insert(
                    turn,
                    Cached {
                        want,
                        high_watermark: -1,
                        log_start: -1,
                        failed: false,
                    },
                );
            }
        }
    }

    fn update(&mut self, request: &FetchRequest, by_id: bool) {
        for want in wants(request, by_id) {
            self.put(want.detached());
        }
        for forgotten in &request.forgotten_topics_data {
            let topic = topic_key(&forgotten.topic, forgotten.topic_id, by_id);
            for partition in &forgotten.partitions {
                if let Some(turn) = self.places.remove(&(topic.clone(), *partition)) {
                    self.turns.remove(&turn);
                }
            }
        }
    }

    /// Whether the client has to hear of this, and notes that it does.
    fn is_news(&mut self, want: &Want, data: &PartitionData) -> bool {
        let key = (want.topic.clone(), want.partition);
        let Some(turn) = self.places.get(&key).copied() else {
            return true;
        };
        let Some(mut cached) = self.turns.remove(&turn) else {
            return true;
        };
        let has_records = data.records.as_ref().is_some_and(|r| !r.is_empty());
        let failed = data.error_code != 0;
        let moved = cached.high_watermark != data.high_watermark
            || cached.log_start != data.log_start_offset;
        // After an error the next good answer is news, even if it is empty.
        let news =
            has_records || moved || failed || cached.failed || data.diverging_epoch.end_offset >= 0;
        (cached.high_watermark, cached.log_start, cached.failed) =
            (data.high_watermark, data.log_start_offset, failed);
        let turn = if has_records {
            self.next_turn += 1;
            self.next_turn - 1
        } else {
            turn
        };
        self.places.insert(key, turn);
        self.turns.insert(turn, cached);
        news
    }
}

impl Opened {
    /// The session's id for the answer, and which parts of it the client has to hear of.
    /// The session that goes on if nothing is told of its partitions; 0 if there is none. A full fetch begins one only
    /// by telling all of them.
    pub(crate) fn session_id(&self) -> i32 {
        match &self.kind {
            Kind::Sessionless | Kind::Full(_) => 0,
            Kind::Incremental(session) => lock(session).id,
        }
    }

    pub(crate) fn finish(&self, results: Vec<PartitionData>) -> (i32, Vec<(Want, PartitionData)>) {
        let pairs = self.wants.iter().cloned().zip(results);
        match &self.kind {
            Kind::Sessionless => (0, pairs.collect()),
            Kind::Full(None) => (0, pairs.collect()),
            Kind::Full(Some(session)) => {
                let mut session = lock(session);
                let all: Vec<_> = pairs.collect();
                for (want, data) in &all {
                    session.is_news(want, data);
                }
                (session.id, all)
            }
            Kind::Incremental(session) => {
                let mut session = lock(session);
                let news = pairs
                    .filter(|(want, data)| session.is_news(want, data))
                    .collect();
                (session.id, news)
            }
        }
    }
}

fn topic_key(name: &Str, id: Uuid, by_id: bool) -> TopicKey {
    if by_id {
        TopicKey::Id(id)
    } else {
        TopicKey::Name(name.clone())
    }
}

fn wants(request: &FetchRequest, by_id: bool) -> impl Iterator<Item = Want> + '_ {
    request.topics.iter().flat_map(move |topic| {
        let key = topic_key(&topic.topic, topic.topic_id, by_id);
        topic.partitions.iter().map(move |p: &FetchPartition| Want {
            topic: key.clone(),
            partition: p.partition,
            offset: p.fetch_offset,
            max_bytes: p.partition_max_bytes,
            current_leader_epoch: p.current_leader_epoch,
            last_fetched_epoch: p.last_fetched_epoch,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use catchword_wire::messages::fetch_request::{FetchTopic, ForgottenTopic};

    fn request(id: i32, epoch: i32, partitions: &[(i32, i64)]) -> FetchRequest {
        let partition = |(partition, fetch_offset): &(i32, i64)| FetchPartition {
            partition: *partition,
            fetch_offset: *fetch_offset,
            ..Default::default()
        };
        let topics = if partitions.is_empty() {
            Vec::new()
        } else {
            vec![FetchTopic {
                topic: "t".into(),
                partitions: partitions.iter().map(partition).collect(),
                ..Default::default()
            }]
        };
        FetchRequest {
            session_id: id,
            session_epoch: epoch,
            topics,
            ..FetchRequest::default()
        }
    }

    fn data(high_watermark: i64, records: &'static [u8]) -> PartitionData {
        PartitionData {
            high_watermark,
            log_start_offset: 0,
            records: Some(bytes::Bytes::from_static(records).into()),
            ..PartitionData::default()
        }
    }

    #[test]
    fn a_session_answers_only_what_is_new() {
        let sessions = Sessions::new(10);
        let full = sessions
            .open(&request(0, 0, &[(0, 0), (1, 0)]), 12, 0)
            .unwrap();
        let (id, all) = full.finish(vec![data(0, b""), data(0, b"")]);
        assert!(id > 0);
        assert_eq!(all.len(), 2, "a full fetch answers everything");
        let next = sessions.open(&request(id, 1, &[]), 12, 0).unwrap();
        assert_eq!(next.wants.len(), 2);
        next.finish(vec![data(0, b""), data(0, b"")]);
        let third = sessions.open(&request(id, 2, &[]), 12, 0).unwrap();
        let (_, news) = third.finish(vec![data(0, b""), data(3, b"abc")]);
        assert_eq!(
            news.iter().map(|(w, _)| w.partition).collect::<Vec<_>>(),
            [1]
        );
    }

    #[test]
    fn partitions_that_gave_records_come_last_the_next_time() {
        let sessions = Sessions::new(10);
        let full = sessions
            .open(&request(0, 0, &[(0, 0), (1, 0)]), 12, 0)
            .unwrap();
        let (id, _) = full.finish(vec![data(0, b""), data(0, b"")]);
        let second = sessions.open(&request(id, 1, &[]), 12, 0).unwrap();
        second.finish(vec![data(3, b"abc"), data(0, b"")]);
        let third = sessions.open(&request(id, 2, &[(0, 3)]), 12, 0).unwrap();
        assert_eq!(
            third
                .wants
                .iter()
                .map(|w| (w.partition, w.offset))
                .collect::<Vec<_>>(),
            [(1, 0), (0, 3)]
        );
    }

    #[test]
    fn whoever_is_out_of_step_begins_anew() {
        let sessions = Sessions::new(10);
        let full = sessions.open(&request(0, 0, &[(0, 0)]), 12, 0).unwrap();
        let (id, _) = full.finish(vec![data(0, b"")]);
        let code = |r: Result<Opened, ErrorCode>| r.err();
        assert_eq!(
            code(sessions.open(&request(id, 5, &[]), 12, 0)),
            Some(ErrorCode::InvalidFetchSessionEpoch)
        );
        assert_eq!(
            code(sessions.open(&request(id, 1, &[]), 13, 0)),
            Some(ErrorCode::FetchSessionTopicIdError)
        );
        assert_eq!(
            code(sessions.open(&request(id + 1, 1, &[]), 12, 0)),
            Some(ErrorCode::FetchSessionIdNotFound)
        );
    }

    #[test]
    fn a_session_that_forgets_its_last_partition_ends() {
        let sessions = Sessions::new(10);
        let full = sessions.open(&request(0, 0, &[(0, 0)]), 12, 0).unwrap();
        let (id, _) = full.finish(vec![data(0, b"")]);
        let mut forget = request(id, 1, &[]);
        forget.forgotten_topics_data = vec![ForgottenTopic {
            topic: "t".into(),
            partitions: vec![0],
            ..Default::default()
        }];
        assert!(sessions.open(&forget, 12, 0).unwrap().wants.is_empty());
        assert!(sessions.open(&request(id, 2, &[]), 12, 0).is_err());
    }

    #[test]
    fn without_room_there_is_no_session_until_an_old_one_was_silent_for_long() {
        let sessions = Sessions::new(1);
        let open = |now| {
            sessions
                .open(&request(0, 0, &[(0, 0)]), 12, now)
                .unwrap()
                .finish(vec![data(0, b"")])
                .0
        };
        assert!(open(0) > 0);
        assert_eq!(open(EVICTABLE_AFTER_MS), 0);
        assert!(open(EVICTABLE_AFTER_MS + 1) > 0);
    }
}
