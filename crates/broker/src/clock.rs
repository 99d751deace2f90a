//! The one place where the broker asks for the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Wall clock time in milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
