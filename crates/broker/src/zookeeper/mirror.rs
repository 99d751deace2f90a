//! The mirror: one session with ZooKeeper after the other, and in each of them turn after turn.
//!
//! A turn follows the log, takes over what others wrote and writes what has moved: many moves of a bookmark since the last
//! turn are one write. A session that ends, whatever the reason, is followed by another that begins where ZooKeeper says that
//! the last one was; so nothing has to be remembered here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use catchword_zookeeper::store::{Event, Found, Write, Written};
use catchword_zookeeper::{
    Book, Bookmark, Groups, Place, Progress, Rule, Step, Store, StoreError, path,
};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::follow::Follower;
use super::groups;
use super::pace::Turn;
use super::take::{self, Taken};
use crate::broker::Broker;

/// When what was refused is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// The number of no transaction.
const NEVER: i64 = -1;
/// How many transactions of our own are remembered, so that their events are not taken for news.
const MOST_OWN: usize = 1024;
/// How much that could not be taken over yet is remembered from session to session: what fits well into a node.
const MOST_NEWS: usize = 2000;
/// The longest pause before another session is tried.
const MOST_PAUSE: Duration = Duration::from_secs(10);

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the session expired")]
    Expired,
    #[error("another broker mirrors the same cluster")]
    Rival,
    #[error("{0}")]
    Log(String),
}

/// Mirrors until the task is ended.
pub(super) async fn run(broker: Arc<Broker>) {
    let config = broker.catalog.config();
    let ensured = broker.clone();
    let ensure = move || ensured.groups.ensure(&ensured.catalog);
    if let Some(Err(error)) = crate::outcome::blocking(ensure).await {
        warn!("nothing is mirrored to ZooKeeper: {}", error.message);
        return;
    }
    let mut pause = RETRY;
    loop {
        let began = Instant::now();
        let ended = session(&broker).await;
        broker.zookeeper.connected.set(false);
        if let Err(ended) = ended {
            warn!(
                "committed offsets are not mirrored to ZooKeeper for now: {ended}. They are safe in __consumer_offsets, and mirrored when {} can be used again",
                config.zookeeper_connect
            );
        }
        if began.elapsed() > MOST_PAUSE {
            pause = RETRY;
        }
        count_unread(&broker, &Follower::default());
        sleep(pause).await;
        pause = (pause * 2).min(MOST_PAUSE);
    }
}

fn count_unread(broker: &Broker, follower: &Follower) {
    broker.zookeeper.unread.set(follower.unread(broker));
}

async fn session(broker: &Arc<Broker>) -> Result<(), Ended> {
    let config = broker.catalog.config();
    let timeout = u64::try_from(config.zookeeper_session_timeout_ms).unwrap_or(0);
    let store = Store::connect(
        &config.zookeeper_connect,
        config.zookeeper_auth.as_deref(),
        Duration::from_millis(timeout),
    );
    let mut store = store.await?;
    store.watch().await?;
    let mut session = Session::begin(broker.clone(), &store).await?;
    broker.zookeeper.connected.set(true);
    info!(
        "committed offsets are mirrored to {}",
        config.zookeeper_connect
    );
    loop {
        let began = Instant::now();
        let turn = session.turn(&store).await?;
        let pause = turn.pause(began.elapsed());
        session.gather(&mut store, pause).await?;
    }
}

/// What is known while a session lasts.
struct Session {
    broker: Arc<Broker>,
    groups: Groups,
    book: Book,
    follower: Follower,
    /// Where the progress is kept, its version, and what it says.
    path: String,
    version: Option<i32>,
    kept: Progress,
    /// The last transaction of others that was seen.
    seen: i64,
    retry_at: Instant,
    own: VecDeque<i64>,
}

impl Session {
    async fn begin(broker: Arc<Broker>, store: &Store) -> Result<Session, Ended> {
        let path = format!("/catchword/{}", broker.cluster_id);
        let (kept, version, wrote) = match store.progress(&path).await? {
            Some((kept, version, zxid)) => (kept, Some(version), zxid),
            None => (Progress::default(), None, NEVER),
        };
        let config = broker.catalog.config();
        let groups = groups::configured(&config);
        // What was passed over of groups that were left alone is read now.
        let follower = match kept.groups == groups {
            true => Follower::from(kept.positions.clone()),
            false => Follower::default(),
        };
        let mut session = Session {
            groups,
            book: Book::new(Rule::named(&config.zookeeper_conflict)),
            follower,
            broker,
            path,
            version,
            seen: kept.seen,
            kept,
            retry_at: Instant::now() + RETRY,
            own: VecDeque::new(),
        };
        session.scan(store, wrote).await?;
        Ok(session)
    }

    /// Reads all nodes. `wrote` is the transaction with which the session before wrote last.
    async fn scan(&mut self, store: &Store, wrote: i64) -> Result<(), StoreError> {
        let scan = store.scan().await?;
        for path in scan.odd {
            warn!(
                "{path} in ZooKeeper is no committed offset of Kafka 0.8 or later, and is left alone"
            );
        }
        scan.cut_over
            .iter()
            .for_each(|group| self.book.cut_over(group, true));
        let seen = self.kept.seen;
        for (place, mut found) in scan.nodes {
            let was_mirrored = groups::has(&self.kept.groups, &place.group);
            let is_news = !was_mirrored || self.kept.news.contains(&place);
            found.node.is_copy = !is_news && (found.zxid <= seen || found.zxid == wrote);
            self.found(place, Some(found));
        }
        Ok(())
    }

    fn found(&mut self, place: Place, found: Option<Found>) {
        self.seen = self.seen.max(found.map_or(0, |found| found.zxid));
        if groups::has(&self.groups, &place.group) {
            self.book.seen(place, found.map(|found| found.node));
        }
    }

    /// Does what there is to do, or some of it.
    async fn turn(&mut self, store: &Store) -> Result<Turn, Ended> {
        let follower = std::mem::take(&mut self.follower);
        let (follower, news) = follower.follow(&self.broker).await.map_err(Ended::Log)?;
        self.follower = follower;
        let is_live = !news.more && !news.moves.is_empty();
        for (record, moved) in news.moves {
            let place = Place {
                group: moved.group.to_string(),
                topic: moved.topic.to_string(),
                partition: moved.partition,
            };
            // What can have no node stands where it always does.
            if place.node().is_none() || !groups::has(&self.groups, &place.group) {
                continue;
            }
            let bookmark = moved.to.map(|(offset, at_ms)| Bookmark {
                offset,
                at_ms,
                record,
            });
            self.book.moved(place, record, bookmark);
        }
        if news.more {
            let (more, is_live) = (true, false);
            return Ok(Turn { more, is_live });
        }
        if self.retry_at <= Instant::now() {
            self.book.release();
            self.retry_at = Instant::now() + RETRY;
        }
        let steps = self.book.steps();
        let more = steps.len() < self.book.behind() - self.book.held();
        let mut writes = Vec::new();
        let mut takes: BTreeMap<String, Vec<(Place, i64)>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Write {
                    place,
                    offset,
                    version,
                } => writes.push((place, offset, version)),
                Step::Take { place, offset, .. } => takes
                    .entry(place.group.clone())
                    .or_default()
                    .push((place, offset)),
            }
        }
        for (group, nodes) in takes {
            self.take(&group, nodes).await;
        }
        self.write(store, writes, !more).await?;
        self.broker.zookeeper.required.settle(|waiter| {
            let is_written = |place| !self.book.owes(place);
            self.follower.is_past(waiter.shard, waiter.end) && waiter.places.iter().all(is_written)
        });
        self.tell();
        // Whoever waits for the mirror does not wait for a pause as well.
        let is_live = is_live && !self.broker.zookeeper.required.is_waited_for();
        Ok(Turn { more, is_live })
    }

    async fn take(&mut self, group: &str, nodes: Vec<(Place, i64)>) {
        for (place, taken) in take::take(&self.broker, group, nodes).await {
            match taken {
                // The log says so in the next turn.
                Taken::Moved => {
                    self.broker.zookeeper.taken.add(1);
                }
                Taken::Same => self.book.agreed(place),
                Taken::Ahead(offset) => self.book.moved(
                    place,
                    0,
                    Some(Bookmark {
                        offset,
                        at_ms: 0,
                        record: 0,
                    }),
                ),
                Taken::Refused => self.book.hold(place),
            }
        }
    }

    /// Writes bookmarks and, with them, how far the mirror is; `is_all` if no other is behind.
    async fn write(
        &mut self,
        store: &Store,
        bookmarks: Vec<(Place, i64, Option<i32>)>,
        is_all: bool,
    ) -> Result<(), Ended> {
        let mut progress = self.kept.clone();
        let is_all = is_all && !self.book.holds_writes();
        if is_all {
            progress.positions = self.follower.positions();
        }
        let news = self.book.news();
        if news.len() <= MOST_NEWS {
            if is_all {
                progress.groups = self.groups.clone();
            }
            progress.news = news.clone();
            progress.seen = self.seen;
        }
        // That our own last write has been seen is no reason for another.
        let is_old = self.own.back().is_some_and(|own| progress.seen <= *own);
        fn but_seen(progress: &Progress) -> impl PartialEq {
            (&progress.positions, &progress.news, &progress.groups)
        }
        let same = but_seen(&progress) == but_seen(&self.kept);
        if bookmarks.is_empty() && same && (is_old || progress.seen == self.kept.seen) {
            return Ok(());
        }
        let mut writes: Vec<Write> = Vec::with_capacity(bookmarks.len() + 1);
        for (place, offset, version) in &bookmarks {
            writes.push(Write {
                path: place.node().unwrap_or_default(),
                data: offset.to_string(),
                version: *version,
            });
        }
        writes.push(Write {
            path: self.path.clone(),
            data: progress.to_text(),
            version: self.version,
        });
        match store.write(&writes).await? {
            Written::All { versions, zxid } => {
                self.own.extend(zxid);
                if self.own.len() > MOST_OWN {
                    self.own.pop_front();
                }
                self.version = versions.last().copied();
                self.kept = progress;
                self.broker.zookeeper.written.add(bookmarks.len() as i64);
                for ((place, offset, _), version) in bookmarks.into_iter().zip(versions) {
                    self.book.wrote(place, offset, version);
                }
            }
            Written::Changed(at) => match bookmarks.get(at) {
                // Somebody was faster: the book is told, and decides anew.
                Some((place, ..)) => {
                    let found = store.read(&writes[at].path).await?;
                    self.found(place.clone(), found);
                }
                None => return Err(Ended::Rival),
            },
            Written::NotAllowed(at) => match bookmarks.get(at) {
                Some((place, ..)) => {
                    warn!(
                        "ZooKeeper does not let the broker write {}; see `getAcl` there, and zookeeper.auth",
                        writes[at].path
                    );
                    self.book.hold(place.clone());
                }
                None => {
                    return Err(Ended::Store(StoreError::NoAuth {
                        path: self.path.clone(),
                    }));
                }
            },
        }
        Ok(())
    }

    /// Gathers what changes in ZooKeeper until it is time for another turn: at once if somebody waits. Our own writes are no
    /// news.
    async fn gather(&mut self, store: &mut Store, pause: Duration) -> Result<(), Ended> {
        let broker = self.broker.clone();
        let mut until = Instant::now() + pause;
        let mut changed = BTreeSet::new();
        let mut missed = false;
        loop {
            let event = tokio::select! {
                biased;
                event = store.event() => event,
                () = sleep_until(until) => break,
                () = broker.zookeeper.required.asked() => {
                    until = Instant::now();
                    continue;
                }
            };
            match event {
                Event::Over => return Err(Ended::Expired),
                Event::Missed => missed = true,
                Event::Node { zxid, .. } if self.own.contains(&zxid) => {}
                Event::Node { path, .. } => drop(changed.insert(path)),
            }
        }
        // ZooKeeper tells what others did before it answers a later write: all of that has come by now.
        self.seen = self.seen.max(self.own.back().copied().unwrap_or(0));
        if missed {
            // The session outlived its connection; the watch did not, though the client set it again.
            store.watch().await?;
            return Ok(self.scan(store, NEVER).await?);
        }
        let nodes = changed
            .iter()
            .filter_map(|node| Some((Place::of_node(node)?, node)));
        let (places, nodes): (Vec<Place>, Vec<&String>) = nodes.unzip();
        for (place, found) in places.into_iter().zip(store.read_all(&nodes).await?) {
            self.found(place, found);
        }
        for node in &changed {
            if let Some(group) = path::cut_over_group(node) {
                let is_there = store.exists(node).await?;
                self.book.cut_over(group, is_there);
            }
        }
        Ok(())
    }

    fn tell(&self) {
        let gauges = &self.broker.zookeeper;
        gauges.behind.set_count(self.book.behind());
        gauges.held.set_count(self.book.held());
        count_unread(&self.broker, &self.follower);
    }
}
