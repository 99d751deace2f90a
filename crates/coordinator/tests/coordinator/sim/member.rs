//! A consumer as Kafka's Java client behaves in the classic protocol, as far as a coordinator can tell.
//!
//! It joins, lets the leader assign, reads where the group stands, works, commits, heartbeats; it gives its partitions
//! up with a last commit before it rejoins; errors send it where they send the real one. It knows nothing of the
//! broker but the answers it gets.

use std::collections::BTreeMap;

use bytes::Bytes;
use catchword_coordinator::{Call, Client, Reply};
use catchword_wire::messages::JoinGroupResponse;
use catchword_wire::messages::offset_fetch_request::OffsetFetchRequestTopics;
use catchword_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use catchword_wire::{ErrorCode, Str, Uuid};

use super::checker::{Asked, Checker, partitions_of};
use super::rng::Rng;
use crate::driver::{commit, commit_topic, error_of, fetch, heartbeat, join, leave, sync};

pub(crate) const SESSION_MS: i32 = 10_000;
pub(crate) const REBALANCE_MS: i32 = 30_000;
const HEARTBEAT_MS: i64 = 3_000;
const COMMIT_MS: i64 = 2_000;
const TIMEOUT_MS: i64 = 10_000;
pub(crate) const TOPIC: &str = "t";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not running.
    Down,
    /// Must (re)join; the time is when it may try next.
    Joining { not_before_ms: i64 },
    /// Has joined, wants its assignment.
    Syncing,
    /// Has its assignment, wants to know where to begin.
    Positioning,
    /// Works.
    Stable,
    /// Commits a last time before it gives its partitions up.
    Revoking,
}

/// A request that is out; an answer to anything else is late and of no interest.
#[derive(Debug, Clone)]
struct InFlight {
    request: u64,
    deadline_ms: i64,
}

/// Something to send.
pub(crate) struct Request {
    pub(crate) id: u64,
    pub(crate) version: i16,
    pub(crate) call: Call,
    pub(crate) asked: Asked,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) group: Str,
    pub(crate) client: Client,
    instance_id: Option<Str>,
    join_version: i16,
    partitions: i32,
    pub(crate) phase: Phase,
    pub(crate) generation: i32,
    member_id: Str,
    /// The leader keeps what it will send.
    assignments: Vec<SyncGroupRequestAssignment>,
    /// Partition to position.
    pub(crate) owned: BTreeMap<i32, i64>,
    main: Option<InFlight>,
    beat: Option<InFlight>,
    last_beat_ms: i64,
    last_commit_ms: i64,
    next_request: u64,
}

impl Member {
    pub(crate) fn new(group: &Str, index: usize, partitions: i32, rng: &mut Rng) -> Member {
        let name = Str::from(format!("{group}.{index}"));
        let instance_id = rng.one_in(3).then(|| name.clone());
        // Old clients, which are admitted without being given an id first, can't be static.
        let is_old = instance_id.is_none() && rng.one_in(4);
        Member {
            group: group.clone(),
            client: Client {
                client_id: name,
                client_host: "/127.0.0.1".into(),
                principal: Str::EMPTY,
            },
            instance_id,
            join_version: if is_old { 3 } else { 9 },
            partitions,
            phase: Phase::Joining { not_before_ms: 0 },
            generation: -1,
            member_id: Str::EMPTY,
            assignments: Vec::new(),
            owned: BTreeMap::new(),
            main: None,
            beat: None,
            last_beat_ms: 0,
            last_commit_ms: 0,
            next_request: 0,
        }
    }

    /// The process dies, or is started again; nothing but its name is left.
    pub(crate) fn restart(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = -1;
        self.member_id = Str::EMPTY;
        self.owned.clear();
        self.main = None;
        self.beat = None;
    }

    fn is_dynamic(&self) -> bool {
        self.instance_id.is_none()
    }

    /// Closes in an orderly way. A static member does not say good-bye: it means to come back.
    pub(crate) fn close(&mut self) -> Option<Request> {
        let says_goodbye = self.is_dynamic() && !self.member_id.is_empty();
        let call = Call::LeaveGroup(leave(&self.group, std::slice::from_ref(&self.member_id)));
        self.restart(Phase::Down);
        says_goodbye.then(|| self.request(5, call, Asked::Other))
    }

    fn request(&mut self, version: i16, call: Call, asked: Asked) -> Request {
        self.next_request += 1;
        Request {
            id: self.next_request,
            version,
            call,
            asked,
        }
    }

    fn main(&mut self, now_ms: i64, timeout_ms: i64, request: &Request) {
        self.main = Some(InFlight {
            request: request.id,
            deadline_ms: now_ms + timeout_ms,
        });
    }

    /// It is called again and again; what does it want to send?
    pub(crate) fn poll(
        &mut self,
        now_ms: i64,
        rng: &mut Rng,
        checker: &mut Checker,
    ) -> Vec<Request> {
        let mut requests = Vec::new();
        if self
            .main
            .as_ref()
            .is_some_and(|main| main.deadline_ms <= now_ms)
        {
            self.main = None;
            // The last commit has no answer: it is given up.
            if self.phase == Phase::Revoking {
                self.rejoin(now_ms);
            }
        }
        if self
            .beat
            .as_ref()
            .is_some_and(|beat| beat.deadline_ms <= now_ms)
        {
            self.beat = None;
        }
        if self.main.is_none() {
            requests.extend(self.next_main(now_ms, rng, checker));
        }
        let beats = matches!(
            self.phase,
            Phase::Syncing | Phase::Positioning | Phase::Stable
        );
        if beats && self.beat.is_none() && now_ms - self.last_beat_ms >= HEARTBEAT_MS {
            self.last_beat_ms = now_ms;
            let mut call = heartbeat(&self.group, &self.member_id, self.generation);
            call.group_instance_id = self.instance_id.clone();
            let request = self.request(4, Call::Heartbeat(call), Asked::Other);
            self.beat = Some(InFlight {
                request: request.id,
                deadline_ms: now_ms + TIMEOUT_MS,
            });
            requests.push(request);
        }
        requests
    }

    fn next_main(&mut self, now_ms: i64, rng: &mut Rng, checker: &mut Checker) -> Option<Request> {
        let request = match self.phase {
            Phase::Down => return None,
            Phase::Joining { not_before_ms } if now_ms < not_before_ms => return None,
            Phase::Joining { .. } => self.join_request(),
            Phase::Syncing => self.sync_request(),
            Phase::Positioning => self.fetch_request(checker),
            Phase::Stable => {
                for position in self.owned.values_mut() {
                    *position += rng.between(0, 20);
                }
                if now_ms - self.last_commit_ms < COMMIT_MS || self.owned.is_empty() {
                    return None;
                }
                self.last_commit_ms = now_ms;
                self.commit_request(checker)
            }
            Phase::Revoking if self.owned.is_empty() => {
                self.rejoin(now_ms);
                return None;
            }
            Phase::Revoking => self.commit_request(checker),
        };
        let is_join = matches!(request.call, Call::JoinGroup(_));
        let timeout_ms = if is_join {
            i64::from(REBALANCE_MS) + 5_000
        } else {
            TIMEOUT_MS
        };
        self.main(now_ms, timeout_ms, &request);
        Some(request)
    }

    fn join_request(&mut self) -> Request {
        let mut call = join(&self.group, &self.member_id);
        call.session_timeout_ms = SESSION_MS;
        call.rebalance_timeout_ms = REBALANCE_MS;
        call.group_instance_id = self.instance_id.clone();
        self.request(self.join_version, Call::JoinGroup(call), Asked::Other)
    }

    fn sync_request(&mut self) -> Request {
        let mut call = sync(&self.group, &self.member_id, self.generation);
        call.group_instance_id = self.instance_id.clone();
        call.assignments = self.assignments.clone();
        let asked = Asked::Sync {
            group: self.group.clone(),
            generation: self.generation,
            member_id: self.member_id.clone(),
        };
        self.request(5, Call::SyncGroup(call), asked)
    }

    fn fetch_request(&mut self, checker: &Checker) -> Request {
        let topics = Some(vec![OffsetFetchRequestTopics {
            name: TOPIC.into(),
            topic_id: Uuid::ZERO,
            partition_indexes: self.owned.keys().copied().collect(),
        }]);
        let call = fetch(&self.group, topics);
        let durable_then = checker.durable_moves();
        self.request(
            9,
            call,
            Asked::Fetch {
                group: self.group.clone(),
                durable_then,
            },
        )
    }

    fn commit_request(&mut self, checker: &mut Checker) -> Request {
        let mut call = commit(&self.group, &self.member_id, self.generation, 0);
        call.group_instance_id = self.instance_id.clone();
        let offsets: Vec<(i32, i64)> = self.owned.iter().map(|(p, o)| (*p, *o)).collect();
        call.topics = vec![commit_topic(TOPIC, &offsets)];
        let mut numbers = Vec::new();
        for partition in &mut call.topics[0].partitions {
            let place = (self.group.clone(), partition.partition_index);
            let number = checker.attempt(place, partition.committed_offset, self.generation);
            partition.committed_metadata = Some(Str::from(number.to_string()));
            numbers.push(number);
        }
        self.request(9, Call::OffsetCommit(call), Asked::Commit(numbers))
    }

    /// An answer has come.
    pub(crate) fn answer(&mut self, now_ms: i64, request: u64, reply: Reply, rng: &mut Rng) {
        let is =
            |sent: &Option<InFlight>| sent.as_ref().is_some_and(|sent| sent.request == request);
        if is(&self.beat) {
            self.beat = None;
        } else if is(&self.main) {
            self.main = None;
        } else {
            return;
        }
        let error = error_of(&reply);
        match reply {
            Reply::JoinGroup(response) => self.joined(now_ms, error, response, rng),
            _ if error != ErrorCode::None => self.failed(now_ms, error, rng),
            Reply::SyncGroup(response) => {
                self.owned = partitions_of(&response.assignment)
                    .into_iter()
                    .map(|p| (p, 0))
                    .collect();
                let has_any = !self.owned.is_empty();
                self.phase = if has_any {
                    Phase::Positioning
                } else {
                    Phase::Stable
                };
            }
            Reply::OffsetFetch(response) => {
                for partition in &response.topics[0].partitions {
                    self.owned
                        .insert(partition.partition_index, partition.committed_offset.max(0));
                }
                self.phase = Phase::Stable;
            }
            Reply::OffsetCommit(_) if self.phase == Phase::Revoking => self.rejoin(now_ms),
            _ => {}
        }
    }

    fn joined(
        &mut self,
        now_ms: i64,
        error: ErrorCode,
        response: JoinGroupResponse,
        rng: &mut Rng,
    ) {
        match error {
            ErrorCode::None => {
                self.member_id = response.member_id.detached();
                self.generation = response.generation_id;
                self.phase = Phase::Syncing;
                self.last_beat_ms = now_ms;
                let leads = response.leader == self.member_id && !response.skip_assignment;
                self.assignments = if leads {
                    self.assign(&response)
                } else {
                    Vec::new()
                };
            }
            ErrorCode::MemberIdRequired => self.member_id = response.member_id.detached(),
            other => self.failed(now_ms, other, rng),
        }
    }

    /// The leader deals the partitions out in turn.
    fn assign(&self, response: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
        let n = response.members.len() as i32;
        let own = |i: i32| {
            let partitions = (0..self.partitions).filter(|p| p % n == i);
            Bytes::from(partitions.flat_map(i32::to_be_bytes).collect::<Vec<u8>>())
        };
        let members = response.members.iter().zip(0..);
        members
            .map(|(member, i)| SyncGroupRequestAssignment {
                member_id: member.member_id.detached(),
                assignment: own(i),
            })
            .collect()
    }

    fn failed(&mut self, now_ms: i64, error: ErrorCode, rng: &mut Rng) {
        match error {
            ErrorCode::RebalanceInProgress => match self.phase {
                // Its partitions are still its own: one last commit.
                Phase::Stable if self.main.is_none() => self.phase = Phase::Revoking,
                _ => self.rejoin(now_ms),
            },
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                // Whoever has lost its generation has lost its partitions, without a last commit.
                if error == ErrorCode::UnknownMemberId {
                    self.member_id = Str::EMPTY;
                }
                self.generation = -1;
                self.rejoin(now_ms);
            }
            // The application is told and ends; someone starts it again.
            ErrorCode::FencedInstanceId => {
                let not_before_ms = now_ms + rng.between(1_000, 5_000);
                self.restart(Phase::Joining { not_before_ms });
            }
            // The coordinator is away: the same again in a while.
            _ => {
                if let Phase::Joining { not_before_ms } = &mut self.phase {
                    *not_before_ms = now_ms + 200;
                } else if self.phase == Phase::Revoking {
                    self.rejoin(now_ms);
                }
            }
        }
    }

    fn rejoin(&mut self, now_ms: i64) {
        self.owned.clear();
        self.main = None;
        self.beat = None;
        self.phase = Phase::Joining {
            not_before_ms: now_ms,
        };
    }
}
