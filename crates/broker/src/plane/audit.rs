//! What was noticed about members' commits since the start, as the JSON API shows it.

use std::sync::Arc;

use catchword_coordinator::{LeftAt, Noticed};
use catchword_wire::Str;
use serde::Serialize;

use super::blocking;
use super::error::PlaneError;
use crate::broker::Broker;
use crate::groups::audit::{Counts, Kept};

/// The names of fields are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(crate) struct AuditView {
    /// Since the broker's start, of all groups.
    counts: CountsView,
    /// The newest first.
    notices: Vec<NoticeView>,
}

#[derive(Debug, Serialize)]
struct CountsView {
    step_back: u64,
    refused: u64,
    refused_records: u64,
    beyond_end: u64,
    jump: u64,
    uncommitted: u64,
    uncommitted_records: u64,
}

#[derive(Debug, Serialize)]
struct NoticeView {
    group: String,
    at_ms: i64,
    /// `step-back`, `jump`, `refused`, `beyond-end` or `uncommitted`.
    kind: &'static str,
    client_id: String,
    host: String,
    member_id: String,
    /// Of a refused commit: Kafka's name of the error.
    error: Option<String>,
    /// How a member went: `left`, `timed-out` or `sent-away`; null for what is about a commit.
    how: Option<&'static str>,
    /// Null for what is about several partitions, as refused commits are always.
    topic: Option<String>,
    partition: Option<i32>,
    /// Where the bookmark was, or the log's end.
    from: Option<i64>,
    /// Where it is now; of a member that is gone, how far it was handed records.
    to: Option<i64>,
    /// Of a refused commit: the partitions whose bookmarks would have moved on. Of a member that is gone: those of which it
    /// was handed what it had not committed.
    partitions: Option<usize>,
    /// What is read again: all of these offsets, or up to so many; of a jump, the records that lie between, as far as the log
    /// still has them.
    records: i64,
    /// Of a member that is gone: those partitions, but no more than [`MAX_PLACES`].
    places: Vec<LeftView>,
}

#[derive(Debug, Serialize)]
struct LeftView {
    topic: String,
    partition: i32,
    /// Null: nowhere.
    committed: Option<i64>,
    /// The offset behind the last record that the member was handed.
    handed: Option<i64>,
}

/// The most partitions of one notice that are listed.
const MAX_PLACES: usize = 100;

/// The newest notices, of one group if it is named.
pub(crate) async fn audit(
    broker: &Arc<Broker>,
    group: Option<&str>,
    limit: usize,
) -> Result<AuditView, PlaneError> {
    let audit = broker.groups.audit();
    let (kept, shared) = (audit.newest(group, limit), broker.clone());
    // Counting reads logs.
    let work = move || kept.into_iter().map(|kept| view(&shared, kept)).collect();
    let notices = blocking(work).await.ok_or_else(PlaneError::stopping)?;
    let Counts {
        step_back,
        refused,
        refused_records,
        beyond_end,
        jump,
        uncommitted,
        uncommitted_records,
    } = audit.counts();
    Ok(AuditView {
        counts: CountsView {
            step_back,
            refused,
            refused_records,
            beyond_end,
            jump,
            uncommitted,
            uncommitted_records,
        },
        notices,
    })
}

/// The records between two offsets of a partition; offsets, where they cannot be counted.
fn records_between(broker: &Broker, topic: &str, partition: i32, from: i64, to: i64) -> i64 {
    let known = broker.catalog.topic(topic);
    let partition = known.as_ref().and_then(|t| t.partition(partition));
    let unread = partition.and_then(|p| p.unread(&[from, to]));
    let counted = unread.and_then(|of| Some(of.first()?.records - of.last()?.records));
    counted.map_or(to.saturating_sub(from), |records| records.max(0))
}

/// The records that a member was handed and had not committed.
fn again(broker: &Broker, place: &LeftAt) -> i64 {
    match (place.committed, place.handed) {
        (Some(from), Some(handed)) => {
            records_between(broker, &place.topic, place.partition, from, handed.to)
        }
        _ => place.again(),
    }
}

impl LeftView {
    fn of(place: &LeftAt) -> LeftView {
        LeftView {
            topic: place.topic.to_string(),
            partition: place.partition,
            committed: place.committed,
            handed: place.handed.map(|handed| handed.to),
        }
    }
}

fn view(broker: &Broker, (at_ms, notice): Kept) -> NoticeView {
    let place = |topic: &Str, partition, from, to| {
        (
            Some(topic.to_string()),
            Some(partition),
            Some(from),
            Some(to),
        )
    };
    let kind = notice.what.name();
    let (mut error, mut how, mut partitions, mut listed) = (None, None, None, Vec::new());
    let ((topic, partition, from, to), records) = match notice.what {
        Noticed::StepBack {
            topic,
            partition,
            from,
            to,
        } => (place(&topic, partition, from, to), from.saturating_sub(to)),
        Noticed::Jump {
            topic,
            partition,
            from,
            to,
        } => (
            place(&topic, partition, from, to),
            records_between(broker, &topic, partition, from, to),
        ),
        Noticed::BeyondEnd {
            topic,
            partition,
            to,
            end,
        } => (place(&topic, partition, end, to), 0),
        Noticed::Refused {
            error: code,
            partitions: moved,
            again,
        } => {
            (error, partitions) = (Some(code.name().to_owned()), Some(moved));
            ((None, None, None, None), again)
        }
        Noticed::Gone { how: went, places } => {
            (how, partitions) = (Some(went.name()), Some(places.len()));
            let records = places.iter().map(|place| again(broker, place)).sum();
            listed = places.iter().take(MAX_PLACES).map(LeftView::of).collect();
            let only = match &places[..] {
                [one] => (
                    Some(one.topic.to_string()),
                    Some(one.partition),
                    one.committed,
                    one.handed.map(|handed| handed.to),
                ),
                _ => (None, None, None, None),
            };
            (only, records)
        }
    };
    NoticeView {
        group: notice.group_id.to_string(),
        at_ms,
        kind,
        client_id: notice.client_id.to_string(),
        host: notice.client_host.trim_start_matches('/').to_owned(),
        member_id: notice.member_id.to_string(),
        error,
        how,
        topic,
        partition,
        from,
        to,
        partitions,
        records,
        places: listed,
    }
}
