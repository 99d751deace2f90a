//! Asks the coordinators for groups as they are now: all of a shard's in one call, or as many as a commit can wait for.

use std::sync::Arc;

use catchword_coordinator::{Call as GroupCall, GroupNow, Reply, Roster, Survey, SurveyCall};
use catchword_wire::Str;

use super::error::PlaneError;
use super::{Asker, call};
use crate::broker::Broker;
use crate::outcome::Outcome;

type Asked = Outcome<Option<Reply>>;

/// All groups with their rosters, by their ids; those of shards that are still being read are left out.
pub(super) async fn all(broker: &Arc<Broker>, asker: &Asker) -> Vec<GroupNow> {
    let call = call(broker, asker);
    let ask = async |shard: usize, after: Option<Str>| {
        // Each takes a moment in which nothing else of this thread is done.
        tokio::task::yield_now().await;
        let request = GroupCall::Survey(SurveyCall::After(after));
        broker.groups.call_shard(shard, &call, request)
    };
    // All first, so that they wait together for what is on its way to the disk.
    let mut asked = Vec::new();
    for shard in 0..broker.groups.shard_count() {
        asked.push((shard, ask(shard, None).await));
    }
    let mut found = Vec::new();
    while !asked.is_empty() {
        let mut more = Vec::new();
        for (shard, answer) in asked {
            let Survey { groups, more_after } = told(answer).await.unwrap_or_default();
            found.extend(groups);
            if more_after.is_some() {
                more.push((shard, ask(shard, more_after).await));
            }
        }
        asked = more;
    }
    found.sort_by(|a, b| a.listed.group_id.cmp(&b.listed.group_id));
    found
}

/// Those of some groups that exist, in the order in which they are named.
pub(super) async fn those(
    broker: &Arc<Broker>,
    asker: &Asker,
    groups: impl Iterator<Item = &Str>,
) -> Result<Vec<GroupNow>, PlaneError> {
    /// Groups that are asked for before the thread does something else.
    const TURN: usize = 50;
    let call = call(broker, asker);
    // All before the first answer is waited for.
    let mut asked = Vec::new();
    for (n, group) in groups.enumerate() {
        if n % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
        let question = GroupCall::Survey(SurveyCall::One(group.clone()));
        asked.push(broker.groups.call(&call, question));
    }
    let mut found = Vec::with_capacity(asked.len());
    for answer in asked {
        found.extend(told(answer).await?.groups);
    }
    Ok(found)
}

/// One group; `None` if there is none, or its shard is still being read.
pub(super) async fn one(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<Option<GroupNow>, PlaneError> {
    let found = those(broker, asker, std::iter::once(group)).await?;
    Ok(found.into_iter().next())
}

/// Who is in a group and who has what; `None` if there is none, or its shard is still being read.
pub(super) async fn roster(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
) -> Result<Option<Box<Roster>>, PlaneError> {
    let question = GroupCall::Roster(group.clone());
    let answer = broker.groups.call(&call(broker, asker), question);
    match answer.get().await.flatten() {
        Some(Reply::Roster(roster)) => Ok(roster),
        _ => Err(PlaneError::stopping()),
    }
}

async fn told(answer: Asked) -> Result<Survey, PlaneError> {
    match answer.get().await.flatten() {
        Some(Reply::Survey(survey)) => Ok(survey),
        _ => Err(PlaneError::stopping()),
    }
}
