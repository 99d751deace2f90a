//! Which partition of `__consumer_offsets` a group lives in.
//!
//! Every client and broker must agree on this; it is Java's string hash over UTF-16.

/// The partition of `__consumer_offsets` that holds `group_id`, of `partitions` in all (more than zero).
///
/// # Panics
/// If `partitions` is not positive: a topic has a partition at least.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    assert!(partitions > 0, "a topic has at least one partition");
    let mut hash = 0i32;
    for unit in group_id.encode_utf16() {
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    }
    // Kafka takes the absolute value of the smallest integer for zero.
    hash.checked_abs().unwrap_or(0) % partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_partition_is_javas_hash_modulo_partitions() {
        // "polygenelubricants".hashCode() is Integer.MIN_VALUE, whose absolute value Kafka takes for zero.
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("", 50), 0);
        // "a".hashCode() = 97, "ab" = 97 * 31 + 98, "group" = 98629247.
        assert_eq!(partition_for("a", 50), 47);
        assert_eq!(partition_for("ab", 50), 3105 % 50);
        assert_eq!(partition_for("group", 50), 47);
        // Outside the basic plane Java counts two surrogates: 0xD83D * 31 + 0xDE00 overflows nothing yet.
        assert_eq!(partition_for("😀", 50), (0xD83D * 31 + 0xDE00) % 50);
    }
}
