//! Tags, and going back to one or to a past time, such as the hours at whose end history knows exactly where a group was.
//!
//! A tag is a record in the log of the group's partition (see `catchword_coordinator::ledger::Tags`): it outlives the
//! group, compaction and restarts, and is looked for when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;

use catchword_coordinator::ledger::{Hours, Limits, Tag, Tags, group_of, plan_set};
use catchword_coordinator::record::headers::Cause;
use catchword_wire::Str;
use tokio::sync::Mutex;

use super::error::PlaneError;
use super::home::Home;
use super::scan::{Wanted, scan};
use super::views::{Done, HourView, TagList, TagView, To};
use super::{Asker, How, blocking, exact_to, ledger, shard_of, topic_ids, write};
use crate::broker::Broker;
use crate::clock;

/// The most tags of a group: each is read when one is asked for.
const MAX_TAGS: usize = 200;
const MAX_NAME: usize = 100;
/// Names that are times.
const RESERVED: [&str; 3] = ["now", "today", "yesterday"];

/// Tags are made one after the other, so that none takes another's name unseen.
static MAKING: Mutex<()> = Mutex::const_new(());

/// Where to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Then {
    Tag(Str),
    /// Milliseconds since 1970.
    Time(i64),
}

/// A group's tags and the hours that are as good as tags, the newest first.
pub(crate) async fn tags(broker: &Arc<Broker>, group: &Str) -> Result<TagList, PlaneError> {
    let shard = shard_of(broker, group)?;
    let (name, now_ms) = (group.clone(), clock::now_ms());
    let since_ms = now_ms.saturating_sub(broker.catalog.config().offsets_history_hourly_ms);
    let work = move || {
        let mut tags = Tags::new(name.clone(), None);
        let mut hours = Hours::new(name.clone(), since_ms, now_ms);
        let mut is_known = false;
        scan(&*shard.log, &Wanted::group(&name), |_, record| {
            is_known |= group_of(record) == Some(&name);
            tags.note(record);
            hours.note(record);
        })?;
        let (tags, hours) = (tags.finish(), hours.finish());
        Ok((is_known || !tags.is_empty(), tags, hours))
    };
    let (is_known, found, hours) = blocking(work).await.ok_or_else(PlaneError::stopping)??;
    if !is_known {
        return Err(PlaneError::no_group(group));
    }
    let mut tags: Vec<TagView> = found
        .iter()
        .map(|(name, tag)| TagView::of(group, name, tag))
        .collect();
    tags.sort_by_key(|tag| std::cmp::Reverse(tag.at_ms));
    let hour = |(time_ms, offsets)| HourView { time_ms, offsets };
    let hours = hours.into_iter().rev().map(hour).collect();
    Ok(TagList { tags, hours })
}

/// Gives where the group is now a name. A tag of that name is replaced only with `force`.
pub(crate) async fn tag(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    name: &Str,
    force: bool,
) -> Result<TagView, PlaneError> {
    check(name)?;
    let _one_at_a_time = MAKING.lock().await;
    let found = read(broker, group, None).await?;
    if found.contains_key(name) && !force {
        return Err(PlaneError::new(
            409,
            "tag-exists",
            format!("group {group:?} has a tag {name:?} already; it stays as it is"),
            "choose another name, or --force to have it point at where the group is now",
        ));
    }
    if found.len() >= MAX_TAGS && !found.contains_key(name) {
        return Err(PlaneError::new(
            409,
            "too-many-tags",
            format!("group {group:?} has {MAX_TAGS} tags, which is the most"),
            format!("remove one: `catchword tag {group} NAME --remove --yes`"),
        ));
    }
    Home::of(broker).tag(asker, group, name, false).await?;
    let found = read(broker, group, None).await?;
    let tag = found.get(name).ok_or_else(|| no_tag(group, name))?;
    Ok(TagView::of(group, name, tag))
}

/// Removes a tag and tells what it was, or with `apply` false only tells.
pub(crate) async fn untag(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    name: &Str,
    apply: bool,
) -> Result<TagView, PlaneError> {
    let _one_at_a_time = MAKING.lock().await;
    let found = read(broker, group, None).await?;
    let tag = found.get(name).ok_or_else(|| no_tag(group, name))?;
    if apply {
        Home::of(broker).tag(asker, group, name, true).await?;
    }
    Ok(TagView::of(group, name, tag))
}

/// Puts a group where it was, or shows what that would do.
pub(crate) async fn restore_to(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    then: &Then,
    how: How,
) -> Result<Done, PlaneError> {
    let (places, to) = match then {
        Then::Tag(name) => {
            let mut found = read(broker, group, Some(name.clone())).await?;
            let tag = found.remove(name).ok_or_else(|| no_tag(group, name))?;
            (tag.places, To::tag(name, tag.at_ms))
        }
        Then::Time(time_ms) => {
            let limits = Limits {
                commits: 0,
                meant_moves: 0,
                until_ms: *time_ms,
            };
            let found = ledger(broker, group, limits).await?;
            (found.places, To::time(*time_ms, exact_to(broker, *time_ms)))
        }
    };
    // A deleted group has tags, and is known for as long as history reaches.
    let now = match ledger(broker, group, Limits::default()).await {
        Err(error) if error.error == "unknown-group" && !places.is_empty() => Default::default(),
        other => other?,
    };
    if places.is_empty() {
        return Err(PlaneError::new(
            409,
            "nothing-known-then",
            format!(
                "group {group:?} had no committed offset then, as far as it is known; nothing was changed"
            ),
            format!("`catchword at {group} TIME` shows where it was"),
        ));
    }
    let plan = plan_set(&places, &now, topic_ids(broker).await);
    let done = Done::of(group, None, &plan, how.force).to(to);
    if how.apply {
        let why = (Cause::Restore, None);
        return write(broker, asker, group, why, plan, how, done).await;
    }
    Ok(done)
}

async fn read(
    broker: &Arc<Broker>,
    group: &Str,
    whole: Option<Str>,
) -> Result<BTreeMap<Str, Tag>, PlaneError> {
    let shard = shard_of(broker, group)?;
    let group = group.clone();
    let work = move || {
        let mut tags = Tags::new(group.clone(), whole);
        scan(&*shard.log, &Wanted::group(&group), |_, record| {
            tags.note(record);
        })?;
        Ok(tags.finish())
    };
    blocking(work).await.ok_or_else(PlaneError::stopping)?
}

pub(super) fn no_places(group: &Str) -> PlaneError {
    PlaneError::new(
        404,
        "no-places",
        format!("group {group:?} has no committed offsets, so there is nothing to name"),
        "`catchword groups` lists the groups there are, `catchword trash` those that are gone",
    )
}

fn check(name: &str) -> Result<(), PlaneError> {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if begins && name.len() <= MAX_NAME && name.chars().all(is_usual) && !RESERVED.contains(&name) {
        return Ok(());
    }
    Err(PlaneError::new(
        400,
        "bad-name",
        format!("{name:?} cannot be a tag's name"),
        format!(
            "begin with a letter and go on with letters, digits, '.', '_' and '-', {MAX_NAME} at most; now, today and yesterday are times"
        ),
    ))
}

fn no_tag(group: &Str, name: &Str) -> PlaneError {
    PlaneError::new(
        404,
        "unknown-tag",
        format!("group {group:?} has no tag {name:?}; nothing was changed"),
        format!("`catchword tags {group}` lists those it has"),
    )
}
