//! What a request names again and again is answered once: so an answer grows with what there is and with the
//! request, but not with their product, which a small request could make larger than the machine.

use std::collections::HashSet;
use std::hash::Hash;

/// Leaves the first of each key, in their order.
pub(super) fn distinct<T, K: Ord + Hash>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    // As most clients send them.
    let ascending = items.is_sorted_by(|a, b| key(a) < key(b));
    if !ascending {
        let mut seen = HashSet::with_capacity(items.len());
        items.retain(|item| seen.insert(key(item)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_each_stays_where_it_was() {
        let mut items = vec![("b", 1), ("a", 2), ("b", 3), ("c", 4), ("a", 5)];
        distinct(&mut items, |item| item.0);
        assert_eq!(items, [("b", 1), ("a", 2), ("c", 4)]);
    }
}
