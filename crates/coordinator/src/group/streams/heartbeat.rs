//! StreamsGroupHeartbeat: a member says what is new with it, and hears which tasks it is to run.

use catchword_wire::messages::create_topics_request::CreatableTopic;
use catchword_wire::messages::streams_group_heartbeat_response::TaskIds;
use catchword_wire::messages::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::configure::{Configured, configure};
use super::status::{Status, StatusCode};
use super::target::assigned_by;
use super::task::{Role, Tasks, lists, owned};
use super::topology::Topology;
use super::{Refused, StreamsGroup};
use crate::call::Context;
use crate::group::{Env, Scope};

/// What a heartbeat led to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Heard {
    pub(crate) response: StreamsGroupHeartbeatResponse,
    /// Topics that the application needs and that its broker is to make.
    pub(crate) missing: Vec<CreatableTopic>,
}

/// What a heartbeat changes of the topology, all checked.
struct Prepared {
    /// A first topology.
    topology: Option<Topology>,
    /// Tasks, if topology or topics are new.
    configured: Option<Configured>,
    metadata_hash: i64,
}

impl StreamsGroup {
    /// A heartbeat that passed [`validate`](super::validate), of a member that does not leave.
    pub(crate) fn heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<Heard, Refused> {
        if self.says_nothing_new(ctx, request, env, scope.now_ms) {
            self.restart_session(&request.member_id, env, scope);
            return Ok(self.answer(request, &request.member_id, false, None, env));
        }
        let owned = owned(request);
        self.check_member(request, owned.as_ref(), scope)?;
        let prepared = self.prepare(request, owned.as_ref(), env)?;
        let id = request.member_id.detached();
        let was_empty = self.is_empty();
        let changed = self.listen(ctx, request, &id, scope);
        self.take_over(prepared, changed, env, scope);
        if was_empty {
            let delay_ms = env.settings.streams.initial_rebalance_delay_ms;
            self.assign_from_ms = scope.after(delay_ms);
        }
        let delayed = self.maybe_assign(env, scope);
        let reassigned = self.reconcile(&id, owned.as_ref(), scope);
        self.restart_session(&id, env, scope);
        if request.shutdown_application {
            self.shut_down(&id);
        }
        let member = &self.members[&id];
        let is_news = request.member_epoch == 0 || reassigned;
        // Who has something else may have missed an answer, and Kafka leaves it at that: a task would rest for good.
        let assigned = member.current.assigned.keys();
        let differs = owned.is_some_and(|owned| !owned.iter().eq(assigned));
        let tells_tasks = is_news || differs;
        if is_news && member.said.endpoint.is_some() {
            self.endpoint_epoch = self.endpoint_epoch.wrapping_add(1);
        }
        Ok(self.answer(request, &id, tells_tasks, delayed, env))
    }

    /// The way of nearly every heartbeat, which must cost next to nothing: neither the member nor the group has a step to
    /// take.
    fn says_nothing_new(
        &self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
        env: &Env<'_>,
        now_ms: i64,
    ) -> bool {
        let is_settled = self.epoch == self.assignment_epoch
            && self.configured.is_some()
            && self.seen_version == Some(env.image.version())
            && !self.is_waiting(now_ms)
            && self.is_assigned_by(env);
        let Some(member) = self.members.get(&request.member_id).filter(|_| is_settled) else {
            return false;
        };
        request.member_epoch != 0
            && request.member_epoch == member.current.epoch
            && member.is_reconciled_to(self.assignment_epoch)
            && member.said.is_unchanged_by(ctx, request)
    }

    /// Whether the member may call, and the epoch is its own. The one before will do if the member has nothing that it
    /// should not have: then it only missed an answer.
    fn check_member(
        &self,
        request: &StreamsGroupHeartbeatRequest,
        owned: Option<&Tasks>,
        scope: &Scope<'_>,
    ) -> Result<(), Refused> {
        let refuse = |error, why: &'static str| Err((error, why.into()));
        let epoch = request.member_epoch;
        let Some(member) = self.members.get(&request.member_id) else {
            if epoch != 0 {
                return refuse(ErrorCode::UnknownMemberId, "the group has no such member");
            }
            if self.members.len() >= scope.config.streams_max_size {
                return refuse(
                    ErrorCode::GroupMaxSizeReached,
                    "the group has as many members as group.streams.max.size allows",
                );
            }
            return Ok(());
        };
        let current = &member.current;
        let missed_answer = epoch < current.epoch
            && epoch == current.previous_epoch
            && owned.is_some_and(|owned| owned.iter().all(|t| current.assigned.contains_key(t)));
        match epoch == 0 || epoch == current.epoch || missed_answer {
            true => Ok(()),
            false => refuse(
                ErrorCode::FencedMemberEpoch,
                "the member's epoch is not the one that the coordinator knows; it must give up its tasks and rejoin",
            ),
        }
    }

    /// Works out what topology and topics mean, and changes nothing.
    fn prepare(
        &self,
        request: &StreamsGroupHeartbeatRequest,
        owned: Option<&Tasks>,
        env: &Env<'_>,
    ) -> Result<Prepared, Refused> {
        let first = self.first_topology(request)?;
        let Some(topology) = first.as_ref().or(self.topology.as_ref()) else {
            let why = "the group's topology is lost; the member must rejoin and bring it";
            return Err((ErrorCode::FencedMemberEpoch, why.into()));
        };
        let is_known = self.seen_version == Some(env.image.version()) && first.is_none();
        let metadata_hash = match is_known {
            true => self.metadata_hash,
            false => env.image.hash_of(topology.required().into_iter()),
        };
        let is_as_before = first.is_none() && metadata_hash == self.metadata_hash;
        let configured = match &self.configured {
            Some(_) if is_as_before => None,
            _ => Some(configure(topology, env.image)?),
        };
        if let Some(of) = configured.as_ref().or(self.configured.as_ref())
            && of.is_ready()
        {
            check_tasks(owned.into_iter().flatten(), of)?;
        }
        Ok(Prepared {
            topology: first,
            configured,
            metadata_hash,
        })
    }

    /// The topology that a member brings, if the group has none. Another one than the group's is refused, as Kafka does
    /// so far; an older one is not: its member is told.
    fn first_topology(
        &self,
        request: &StreamsGroupHeartbeatRequest,
    ) -> Result<Option<Topology>, Refused> {
        let Some(said) = &request.topology else {
            return Ok(None);
        };
        let topology = Topology::read(said)?;
        match &self.topology {
            None => Ok(Some(topology)),
            Some(known) if *known == topology || known.epoch() > topology.epoch() => Ok(None),
            Some(_) => Err((
                ErrorCode::InvalidRequest,
                "the group has another topology, and it cannot be changed yet: delete the group when it is empty, or take another application.id".into(),
            )),
        }
    }

    /// Takes over what the member says of itself. Whether any of it is new.
    fn listen(
        &mut self,
        ctx: &Context<'_>,
        request: &StreamsGroupHeartbeatRequest,
        id: &Str,
        scope: &mut Scope<'_>,
    ) -> bool {
        let is_new = !self.members.contains_key(id);
        let member = self.members.or_default(id.clone());
        let said = member.said.updated(ctx, request);
        let changed = is_new || said != member.said;
        if changed {
            self.set_said(id, said, scope.out);
        }
        changed
    }

    /// Takes over topology and topics, and begins a new epoch if they, the member or the way to assign have changed.
    fn take_over(
        &mut self,
        prepared: Prepared,
        member_changed: bool,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) {
        if let Some(topology) = prepared.topology {
            self.set_topology(topology, scope.out);
        }
        if let Some(configured) = prepared.configured {
            self.configured = Some(configured);
        }
        self.seen_version = Some(env.image.version());
        let is_ready = self.configured.as_ref().is_some_and(Configured::is_ready);
        let epoch = self.topology.as_ref().map(Topology::epoch);
        let validated = epoch.filter(|_| is_ready).unwrap_or(-1);
        let assigned_by = assigned_by(env);
        let changed = member_changed
            || prepared.metadata_hash != self.metadata_hash
            || validated != self.validated_topology
            || assigned_by != self.assigned_by;
        if changed {
            self.metadata_hash = prepared.metadata_hash;
            self.validated_topology = validated;
            self.assigned_by = assigned_by;
            self.bump(scope.out);
        }
    }

    fn answer(
        &self,
        request: &StreamsGroupHeartbeatRequest,
        id: &Str,
        tells_tasks: bool,
        delayed: Option<Status>,
        env: &Env<'_>,
    ) -> Heard {
        let member = &self.members[id];
        let tasks = |role| {
            let assigned = member.current.assigned.keys();
            let list = |subtopology_id, partitions| TaskIds {
                subtopology_id,
                partitions,
            };
            tells_tasks.then(|| lists(assigned, role, list))
        };
        let configured = self.configured.as_ref();
        let statuses = self.stale(member.said.topology_epoch).into_iter();
        let statuses = statuses.chain(delayed);
        let statuses = statuses.chain(configured.and_then(|c| c.problem.clone()));
        let statuses = statuses.chain(self.shutdown());
        let asks_for_endpoints = request.endpoint_information_epoch != self.endpoint_epoch;
        Heard {
            response: StreamsGroupHeartbeatResponse {
                member_id: id.clone(),
                member_epoch: member.current.epoch,
                heartbeat_interval_ms: env.settings.streams.heartbeat_interval_ms,
                status: Some(statuses.map(|status| status.told()).collect()),
                active_tasks: tasks(Role::Active),
                standby_tasks: tasks(Role::Standby),
                warmup_tasks: tasks(Role::Warmup),
                endpoint_information_epoch: self.endpoint_epoch,
                partitions_by_user_endpoint: asks_for_endpoints.then(|| self.endpoints(env.image)),
                ..StreamsGroupHeartbeatResponse::default()
            },
            missing: configured.map(|c| c.missing.clone()).unwrap_or_default(),
        }
    }

    fn stale(&self, epoch: i32) -> Option<Status> {
        let known = self.topology.as_ref().map(Topology::epoch)?;
        (epoch < known).then(|| {
            let detail = format!(
                "The member's topology epoch {epoch} is behind the group's topology epoch {known}."
            );
            Status::new(StatusCode::StaleTopology, detail)
        })
    }

    fn shutdown(&self) -> Option<Status> {
        let by = self.shutdown_by.as_ref()?;
        let detail = format!(
            "Streams group member {by} encountered a fatal error and requested a shutdown for the entire application."
        );
        Some(Status::new(StatusCode::ShutdownApplication, detail))
    }
}

/// Whether there are such tasks.
fn check_tasks<'a>(
    mut owned: impl Iterator<Item = &'a super::task::Task>,
    configured: &Configured,
) -> Result<(), Refused> {
    let is_unknown = |task: &&super::task::Task| {
        let tasks = configured.tasks.get(&task.subtopology);
        !tasks.is_some_and(|tasks| (0..*tasks).contains(&task.partition))
    };
    match owned.find(is_unknown) {
        None => Ok(()),
        Some(task) => Err((
            ErrorCode::InvalidRequest,
            format!(
                "the member says that it has task {}_{}, and the topology has no such task",
                task.subtopology, task.partition
            )
            .into(),
        )),
    }
}
