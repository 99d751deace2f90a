//! What lies between two places of a group, for previews of a move: records, bytes, and how fast the group reads.

use std::sync::Arc;

use catchword_wire::Str;
use serde::{Deserialize, Serialize};

use super::error::PlaneError;
use super::{Asker, blocking};
use crate::broker::Broker;
use crate::lag;

/// From one offset to a later one, or back to an earlier one: what lies between is the same.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    topic: String,
    partition: i32,
    from: i64,
    to: i64,
}

/// The names of fields are for scripts and stay as they are.
#[derive(Debug, Serialize)]
pub(crate) struct BetweenView {
    group: String,
    /// Null: there is no such group.
    state: Option<String>,
    /// Offsets a second that the group reads on by, over the last minute or so; null before the second look at it.
    speed: Option<f64>,
    /// As they were asked for.
    partitions: Vec<SpanView>,
}

#[derive(Debug, Serialize)]
struct SpanView {
    topic: String,
    partition: i32,
    from: i64,
    to: i64,
    /// Records that a reader is given on the way; null where they cannot be counted.
    records: Option<i64>,
    /// Bytes, as they are stored, of the whole batches on the way; null where they cannot be counted.
    bytes: Option<i64>,
}

/// See the module.
pub(crate) async fn between(
    broker: &Arc<Broker>,
    asker: &Asker,
    group: &Str,
    spans: Vec<Span>,
) -> Result<BetweenView, PlaneError> {
    let now = match lag::group(broker, asker, group).await {
        Ok(mut now) => now.groups.pop(),
        Err(error) if error.status == 404 => None,
        Err(error) => return Err(error),
    };
    let shared = broker.clone();
    let work = move || {
        spans
            .into_iter()
            .map(|span| measure(&shared, span))
            .collect()
    };
    let partitions = blocking(work).await.ok_or_else(PlaneError::stopping)?;
    Ok(BetweenView {
        group: group.to_string(),
        speed: now.as_ref().and_then(|now| now.speed),
        state: now.map(|now| now.state),
        partitions,
    })
}

/// Reads logs, so it blocks.
fn measure(broker: &Broker, span: Span) -> SpanView {
    let known = broker.catalog.topic(&span.topic);
    let partition = known.as_ref().and_then(|t| t.partition(span.partition));
    let (low, high) = (span.from.min(span.to), span.from.max(span.to));
    let counted = partition.and_then(|p| p.unread(&[low, high]));
    let counted = counted.and_then(|unread| Some((*unread.first()?, *unread.get(1)?)));
    let records = counted.map(|(low, high)| (low.records - high.records).max(0));
    let bytes = counted.map(|(low, high)| (low.bytes - high.bytes).max(0));
    SpanView {
        topic: span.topic,
        partition: span.partition,
        from: span.from,
        to: span.to,
        records,
        // Less than a batch is no number that anybody could use.
        bytes: bytes.filter(|bytes| *bytes > 0 || records == Some(0)),
    }
}
