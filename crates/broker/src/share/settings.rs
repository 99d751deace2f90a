//! What is set for a share group, on itself or on the broker.

use catchword_coordinator::share::ShareSettings;
use catchword_log::ReadLimit;

use crate::catalog::Catalog;
use crate::partition::Partition;

/// The settings that the state machine needs.
pub(crate) fn settings(catalog: &Catalog, group_id: &str) -> ShareSettings {
    let Some(set) = catalog.group_configs(group_id) else {
        return ShareSettings::default();
    };
    ShareSettings {
        lock_ms: i64::from(set.share_record_lock_duration_ms),
        max_deliveries: i16::try_from(set.share_delivery_count_limit).unwrap_or(i16::MAX),
        max_in_flight: i64::from(set.share_partition_max_record_locks),
        may_renew: set.share_renew_acknowledge_enable,
    }
}

/// Which records the group may see.
pub(super) fn isolation(catalog: &Catalog, group_id: &str) -> ReadLimit {
    match catalog.group_configs(group_id) {
        Some(set) if set.share_isolation_level == "read_committed" => ReadLimit::LastStable,
        _ => ReadLimit::HighWatermark,
    }
}

/// Where a group begins to read a partition: `share.auto.offset.reset`.
pub(super) fn first_start(
    catalog: &Catalog,
    group_id: &str,
    partition: &Partition,
    now_ms: i64,
) -> i64 {
    let offsets = partition.log.offsets();
    let set = catalog.group_configs(group_id);
    let reset = set
        .as_ref()
        .map_or("latest", |set| set.share_auto_offset_reset.as_str());
    match reset {
        "earliest" => offsets.log_start,
        "latest" => offsets.high_watermark,
        by_duration => {
            let ago = catchword_config::offset_reset_duration_ms(by_duration).unwrap_or(0);
            let found = partition
                .log
                .offset_for_timestamp(now_ms.saturating_sub(ago));
            // Nothing is that young: what comes next is.
            found
                .ok()
                .flatten()
                .map_or(offsets.high_watermark, |place| place.offset)
        }
    }
}
