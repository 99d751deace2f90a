//! How groups read on the screen of `top`: pure, like the rest of it.

use crate::commands::lag::{GroupLag, pace};
use crate::plane::span;
use crate::table::{Align, Table, count, records};

/// A group that is no longer behind than this reads as it should.
const FRESH_MS: i64 = 60_000;
/// A rebalance that waits for longer is held up by somebody.
const PATIENCE_MS: i64 = 30_000;
/// Retention that is nearer than this is worth a warning.
const NEAR_MS: i64 = 3 * 24 * 60 * 60 * 1000;

/// All groups, a line each.
pub(super) fn table(groups: &[GroupLag], now_ms: i64) -> Table {
    let mut table = Table::new(&[
        ("STATE", Align::Left),
        ("GROUP", Align::Left),
        ("BEHIND", Align::Right),
        ("OLDEST UNREAD", Align::Right),
        ("SPEED", Align::Right),
        ("BOOKMARKS SAFE UNTIL", Align::Left),
    ]);
    for group in groups {
        let told = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        table.row(vec![
            how(group, now_ms).0,
            group.group.clone(),
            told(group.lag.lag.map(count)),
            told(group.lag.age_ms.map(span)),
            told(group.lag.speed.map(pace)),
            safety(group, now_ms),
        ]);
    }
    table
}

/// How a group is, and whether that calls for somebody.
pub(super) fn how(group: &GroupLag, now_ms: i64) -> (String, bool) {
    let is_behind = group.lag.lag.is_some_and(|lag| lag > 0);
    let is_late = is_behind && group.lag.age_ms.is_some_and(|age| age > FRESH_MS);
    match &group.objective {
        _ if group.lag.lost > 0 => ("✕ torn".into(), true),
        Some(objective) if objective.status != "OK" => (format!("▲ {}", objective.words()), true),
        _ if !group.awaited.is_empty() => {
            let waits_ms = group.awaited.iter().map(|one| one.for_ms(now_ms)).max();
            let waits_ms = waits_ms.unwrap_or(0);
            (
                format!("◌ waits {}", span(waits_ms)),
                waits_ms > PATIENCE_MS,
            )
        }
        _ if group.state == "Empty" || group.state == "Dead" => ("○ closed".into(), false),
        None if is_late => ("◐ slow".into(), false),
        _ => ("● reading".into(), false),
    }
}

/// What becomes of its bookmarks: by retention of the records there, and by their own expiry.
pub(super) fn safety(group: &GroupLag, now_ms: i64) -> String {
    let expires = group
        .kept
        .expires_at_ms
        .map(|at_ms| span((at_ms - now_ms).max(0)));
    match (expires, retention(group)) {
        (None, kept) => kept,
        (Some(span), kept) if group.kept.expires_soon => format!("⚠ expires in {span}; {kept}"),
        (Some(span), kept) => format!("{kept}; expires in {span}"),
    }
}

/// What becomes of the records at its bookmarks.
fn retention(group: &GroupLag) -> String {
    let lag = &group.lag;
    if lag.lost > 0 {
        return format!("retention took {} before they were read", records(lag.lost));
    }
    match (lag.retention_in_ms, lag.to_zero_ms) {
        (Some(edge), Some(zero)) if zero < edge => format!("kept; catches up in {}", span(zero)),
        (Some(0), _) => "⚠ retention may take unread records now".into(),
        (Some(edge), _) if edge < NEAR_MS => {
            format!("⚠ retention reaches the bookmark in {}", span(edge))
        }
        (Some(edge), _) => format!("kept for {}", span(edge)),
        (None, _) if lag.lag == Some(0) => "kept (nothing unread)".into(),
        (None, _) => "kept".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    fn group(more: &str) -> GroupLag {
        let text = format!(
            r#"{{"group": "g", "state": "PreparingRebalance", "kind": "classic", "lag": 0, "age_ms": null,
                "bytes": null, "lost": 0, "speed": null, "to_zero_ms": null, "retention_in_ms": null, {more}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_group_that_waits_calls_for_somebody_once_it_has_waited_for_long() {
        let waits = group(
            r#""awaited": [{"member_id": "m", "client_id": "c", "host": "h", "what": "rejoin",
                "partitions": [], "since_ms": 1000, "until_ms": 61000}]"#,
        );
        assert_eq!(how(&waits, 13_000), ("◌ waits 12 s".into(), false));
        assert_eq!(how(&waits, 41_000), ("◌ waits 40 s".into(), true));
    }

    #[test]
    fn when_bookmarks_expire_is_said_first_if_it_is_soon() {
        let expires = |soon: bool| {
            let at_ms = 2 * DAY_MS;
            group(&format!(
                r#""expires_at_ms": {at_ms}, "expires_soon": {soon}"#
            ))
        };
        let expected = [
            (false, "kept (nothing unread); expires in 2 d"),
            (true, "⚠ expires in 2 d; kept (nothing unread)"),
        ];
        for (soon, words) in expected {
            assert_eq!(safety(&expires(soon), 0), words);
        }
    }
}
