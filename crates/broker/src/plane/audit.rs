//! What was noticed about members' commits since the start, as the JSON API shows it.

use std::sync::Arc;

use catchword_coordinator::Noticed;
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
}

#[derive(Debug, Serialize)]
struct NoticeView {
    group: String,
    at_ms: i64,
    /// `step-back`, `jump`, `refused` or `beyond-end`.
    kind: &'static str,
    client_id: String,
    host: String,
    member_id: String,
    /// Of a refused commit: Kafka's name of the error.
    error: Option<String>,
    /// Null for a refused commit, which is told as a whole.
    topic: Option<String>,
    partition: Option<i32>,
    /// Where the bookmark was, or the log's end.
    from: Option<i64>,
    to: Option<i64>,
    /// Of a refused commit: the partitions whose bookmarks would have moved on.
    partitions: Option<usize>,
    /// What is read again: all of these offsets, or up to so many; of a jump, the records that lie between, as far as the log
    /// still has them.
    records: i64,
}

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
    } = audit.counts();
    Ok(AuditView {
        counts: CountsView {
            step_back,
            refused,
            refused_records,
            beyond_end,
            jump,
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
    let mut refusal = (None, None);
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
            error,
            partitions,
            again,
        } => {
            refusal = (Some(error.name().to_owned()), Some(partitions));
            ((None, None, None, None), again)
        }
    };
    NoticeView {
        group: notice.group_id.to_string(),
        at_ms,
        kind,
        client_id: notice.client_id.to_string(),
        host: notice.client_host.trim_start_matches('/').to_owned(),
        member_id: notice.member_id.to_string(),
        error: refusal.0,
        topic,
        partition,
        from,
        to,
        partitions: refusal.1,
        records,
    }
}
