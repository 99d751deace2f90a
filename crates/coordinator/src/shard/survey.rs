//! Groups as they are now, many in one call: what lists of groups, lag, metrics and lag objectives are made of.
//!
//! A call shows so many bookmarks only that no commit waits for long behind it; whoever asks goes on where it ended.

use std::ops::Bound;

use catchword_wire::Str;
use catchword_wire::messages::list_groups_response::ListedGroup;

use super::GroupShard;
use crate::group::{Group, Roster};
use crate::ledger::Place;
use crate::retention::{Retention, RetentionRule};

/// A call ends with the group that brings it to so many groups, bookmarks, members and partitions of members: about 0.2 ms.
const MAX_SHOWN: usize = 2_000;

/// Which groups are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurveyCall {
    /// This one, if it exists, without its roster, for which there is [`Call::Roster`](crate::Call::Roster).
    One(Str),
    /// Those whose ids come after this one, in order, with their rosters; all of them from the first on if there is none.
    After(Option<Str>),
}

/// The answer to a [`SurveyCall`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// In the order of their ids. Empty as well if nobody can say.
    pub groups: Vec<GroupNow>,
    /// The last group shown, if there are more to be asked for [`After`](SurveyCall::After) it.
    pub more_after: Option<Str>,
}

/// A group, its bookmarks, and how long they are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupNow {
    /// As ListGroups shows it.
    pub listed: ListedGroup,
    /// How long bookmarks are kept that nobody reads on from.
    pub retention: Retention,
    /// Who says so.
    pub rule: RetentionRule,
    /// By topic and partition.
    pub bookmarks: Vec<BookmarkNow>,
    /// Who is in it and who has what; `None` where nobody is, or [`One`](SurveyCall::One) was asked for.
    pub roster: Option<Box<Roster>>,
}

/// A bookmark of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookmarkNow {
    /// The topic.
    pub topic: Str,
    /// The partition.
    pub partition: i32,
    /// Where it is.
    pub place: Place,
    /// When it was committed last, ms since 1970.
    pub committed_ms: i64,
    /// When it expires if nothing changes, ms; `None`: not while things are as they are.
    pub expires_ms: Option<i64>,
}

impl GroupShard {
    pub(super) fn survey(&self, call: &SurveyCall) -> Survey {
        let after = match call {
            SurveyCall::One(group_id) => {
                let group = self.groups.get(group_id);
                return Survey {
                    groups: group
                        .map(|group| self.group_now(group))
                        .into_iter()
                        .collect(),
                    more_after: None,
                };
            }
            SurveyCall::After(None) => Bound::Unbounded,
            SurveyCall::After(Some(group_id)) => Bound::Excluded(group_id.as_str()),
        };
        let mut left = self.groups.range::<str, _>((after, Bound::Unbounded));
        let (mut survey, mut shown) = (Survey::default(), 0);
        while shown < MAX_SHOWN
            && let Some((_, group)) = left.next()
        {
            let mut now = self.group_now(group);
            if &*now.listed.group_state != "Empty" {
                let roster = group.roster(&self.image);
                shown += roster.size();
                now.roster = Some(Box::new(roster));
            }
            shown += 1 + now.bookmarks.len();
            survey.groups.push(now);
        }
        let last = survey.groups.last();
        survey.more_after = last
            .map(|group| group.listed.group_id.clone())
            .filter(|_| left.next().is_some());
        survey
    }

    fn group_now(&self, group: &Group) -> GroupNow {
        let default_ms = self.config.offsets_retention_ms;
        let (retention, rule) = self.retention.of(&group.id, default_ms);
        let bookmarks = self.expiries(group, retention);
        let bookmarks = bookmarks.map(|(topic, partition, bookmark, expires_ms)| BookmarkNow {
            topic: topic.clone(),
            partition,
            place: Place::of(bookmark),
            committed_ms: bookmark.commit_timestamp_ms,
            expires_ms,
        });
        GroupNow {
            listed: group.list(),
            retention,
            rule,
            bookmarks: bookmarks.collect(),
            roster: None,
        }
    }
}
