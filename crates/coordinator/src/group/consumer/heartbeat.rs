//! ConsumerGroupHeartbeat: a member says what is new with it, and hears what it is to read.

use catchword_wire::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use catchword_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use catchword_wire::{ErrorCode, Str};

use super::member::{AWAY, LEFT, Member, Said};
use super::subscribe::Newcomer;
use super::{ConsumerGroup, Env, Refused};
use crate::call::Context;
use crate::group::Scope;
use crate::group::member::fits_record;

/// From this version on clients make their member ids themselves.
const OWN_MEMBER_ID: i16 = 1;

/// What can be checked without the group.
pub(crate) fn validate(
    request: &ConsumerGroupHeartbeatRequest,
    api_version: i16,
    assignors: &[Str],
) -> Result<(), Refused> {
    let invalid = |why| Err((ErrorCode::InvalidRequest, why));
    let is_blank = |text: &Option<Str>| text.as_ref().is_some_and(|text| text.trim().is_empty());
    let epoch = request.member_epoch;
    let needs_id = api_version >= OWN_MEMBER_ID || epoch > 0 || epoch == LEFT;
    if needs_id && request.member_id.trim().is_empty() {
        return invalid("the member id is missing");
    }
    if request.group_id.trim().is_empty() {
        return invalid("the group id is missing");
    }
    if is_blank(&request.instance_id) || is_blank(&request.rack_id) {
        return invalid("the group instance id or the rack id is blank");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return invalid("who joins must give a rebalance timeout");
        }
        if request
            .topic_partitions
            .as_ref()
            .is_none_or(|owned| !owned.is_empty())
        {
            return invalid("who joins must have no partitions, and say so");
        }
        if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
            return invalid("who joins must say what it subscribes to");
        }
    } else if epoch == AWAY && request.instance_id.is_none() {
        return invalid("only a static member can leave for a while");
    } else if epoch < AWAY {
        return invalid("there is no such member epoch");
    }
    if let Some(assignor) = &request.server_assignor
        && !assignors.contains(assignor)
    {
        return Err((
            ErrorCode::UnsupportedAssignor,
            "the assignor is not among group.consumer.assignors",
        ));
    }
    let texts = [&request.group_id, &request.member_id];
    let more = request.instance_id.iter().chain(&request.rack_id);
    let more = more.chain(&request.subscribed_topic_regex);
    let more = more.chain(request.subscribed_topic_names.iter().flatten());
    match texts.into_iter().chain(more).all(|text| fits_record(text)) {
        true => Ok(()),
        false => invalid("an id, a name or a regular expression is too long"),
    }
}

impl ConsumerGroup {
    /// A heartbeat that passed [`validate`], of a member that does not leave. Its expression, if it has one, was compiled.
    pub(crate) fn heartbeat(
        &mut self,
        ctx: &Context<'_>,
        request: &ConsumerGroupHeartbeatRequest,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refused> {
        let id = &request.member_id;
        self.check_room(id, scope)?;
        if self.says_nothing_new(ctx, request, env) {
            self.restart_session(id, env, scope);
            return Ok(self.answer(id, false, env));
        }
        let who = Newcomer {
            id,
            instance_id: request.instance_id.as_ref(),
            may_create: request.member_epoch == 0,
            is_classic: false,
            epoch: request.member_epoch,
            owned: request.topic_partitions.as_deref(),
        };
        let is_new = self.subscribe(&who, scope.out)?;
        let said = self.members[id].said.updated(ctx, request);
        let changed = self.listen(id, said, is_new, env, scope);
        self.maybe_assign(env, scope);
        let owned = request.topic_partitions.as_deref();
        let reassigned = self.reconcile(id, changed, owned, env, scope);
        self.restart_session(id, env, scope);
        Ok(self.answer(id, reassigned || wants_all(request), env))
    }

    /// The way of nearly every heartbeat, which must cost next to nothing.
    fn says_nothing_new(
        &self,
        ctx: &Context<'_>,
        request: &ConsumerGroupHeartbeatRequest,
        env: &Env<'_>,
    ) -> bool {
        let version = Some(env.image.version());
        let is_settled = self.epoch == self.assignment_epoch
            && self.seen_version == version
            && (self.regexes.is_empty() || self.resolved_version == version);
        let Some(member) = self.members.get(&request.member_id).filter(|_| is_settled) else {
            return false;
        };
        let said = &member.said;
        request.member_epoch != 0
            && request.member_epoch == member.current.epoch
            && member.is_reconciled_to(self.assignment_epoch)
            && said.classic.is_none()
            && request.subscribed_topic_names.is_none()
            && request.subscribed_topic_regex.is_none()
            && request.server_assignor.is_none()
            && request.rack_id.is_none()
            && request.rebalance_timeout_ms == -1
            && (request.instance_id.is_none() || request.instance_id == said.instance_id)
            && said.client_id == ctx.client.client_id
            && said.client_host == ctx.client.client_host
    }

    /// Takes over what a member says of itself, with all that follows for the group. Whether its subscription changed.
    pub(super) fn listen(
        &mut self,
        id: &Str,
        said: Said,
        is_new: bool,
        env: &Env<'_>,
        scope: &mut Scope<'_>,
    ) -> bool {
        let before = &self.members[id].said;
        let regex_changed = before.regex != said.regex;
        let changed = regex_changed || before.topics != said.topics;
        let (old, new) = (before.regex.clone(), said.regex.clone());
        if is_new || *before != said {
            self.set_said(id, said, scope.out);
        }
        if regex_changed {
            self.regex_changed(&old, &new, env, scope);
        }
        let refreshed = self.refresh_regexes(env, scope);
        // A group has no record before its first epoch.
        let must = changed || refreshed || self.assignment_epoch == 0;
        self.maybe_bump(must, env.image, scope.out);
        changed
    }

    fn answer(
        &self,
        id: &str,
        with_assignment: bool,
        env: &Env<'_>,
    ) -> ConsumerGroupHeartbeatResponse {
        let member = &self.members[id];
        ConsumerGroupHeartbeatResponse {
            member_id: Some(member.id.clone()),
            member_epoch: member.current.epoch,
            heartbeat_interval_ms: env.settings.heartbeat_interval_ms,
            assignment: with_assignment.then(|| assignment(member)),
            ..ConsumerGroupHeartbeatResponse::default()
        }
    }
}

/// Whether a request says all there is to say, so that its answer must, too.
fn wants_all(request: &ConsumerGroupHeartbeatRequest) -> bool {
    let subscribes =
        request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let is_full =
        request.rebalance_timeout_ms != -1 && subscribes && request.topic_partitions.is_some();
    request.member_epoch == 0 || is_full
}

fn assignment(member: &Member) -> Assignment {
    let assigned = member.current.assigned.iter();
    let topic_partitions = assigned.map(|(topic_id, partitions)| TopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.keys().copied().collect(),
    });
    Assignment {
        topic_partitions: topic_partitions.collect(),
    }
}

impl Said {
    /// With what a request says; what it leaves out stays.
    fn updated(&self, ctx: &Context<'_>, request: &ConsumerGroupHeartbeatRequest) -> Said {
        let or = |new: &Option<Str>, old: &Option<Str>| match new {
            Some(new) => Some(new.detached()),
            None => old.clone(),
        };
        let mut said = Said {
            instance_id: or(&request.instance_id, &self.instance_id),
            rack_id: or(&request.rack_id, &self.rack_id),
            client_id: ctx.client.client_id.detached(),
            client_host: ctx.client.client_host.detached(),
            assignor: or(&request.server_assignor, &self.assignor),
            classic: None,
            ..self.clone()
        };
        if request.rebalance_timeout_ms != -1 {
            said.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.subscribed_topic_names {
            said.topics = names.iter().map(Str::detached).collect();
        }
        if let Some(regex) = &request.subscribed_topic_regex {
            said.regex = regex.detached();
        }
        said
    }
}
