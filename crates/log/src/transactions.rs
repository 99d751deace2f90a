//! Transactions that were aborted in a partition (KIP-98): what a reader needs to leave their records out.
//!
//! Invariant: a list of them rises by `last_offset`, and each entry was true when its marker was written. The bytes are
//! those of Kafka's `.txnindex`, big-endian: version (i16, 0), producer id, first offset, last offset, last stable offset
//! (i64 each). No IO.

use bytes::{Buf, BufMut};

/// Bytes of an entry.
pub(crate) const ENTRY_LEN: usize = 34;

/// A transaction of one producer in one partition that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Who wrote it.
    pub producer_id: i64,
    /// The offset of its first record.
    pub first_offset: i64,
    /// The offset of the marker that ended it.
    pub last_offset: i64,
    /// The last stable offset behind that marker: no transaction that ended later began below it.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    /// Its bytes.
    pub(crate) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.put_i16(0);
        bytes.put_i64(self.producer_id);
        bytes.put_i64(self.first_offset);
        bytes.put_i64(self.last_offset);
        bytes.put_i64(self.last_stable_offset);
    }
}

/// The entries in a file's bytes, whose last offsets are to rise from `from` on and stay below `upto`; or what is wrong.
pub(crate) fn decode(
    bytes: &[u8],
    from: i64,
    upto: i64,
) -> (Vec<AbortedTransaction>, Option<String>) {
    let mut entries: Vec<AbortedTransaction> = Vec::with_capacity(bytes.len() / ENTRY_LEN);
    let (chunks, rest) = bytes.as_chunks::<ENTRY_LEN>();
    for chunk in chunks {
        let at = entries.len();
        let mut chunk: &[u8] = chunk;
        let version = chunk.get_i16();
        let entry = AbortedTransaction {
            producer_id: chunk.get_i64(),
            first_offset: chunk.get_i64(),
            last_offset: chunk.get_i64(),
            last_stable_offset: chunk.get_i64(),
        };
        if version != 0 {
            return (entries, Some(format!("entry {at} is of version {version}")));
        }
        let lowest = entries.last().map_or(from, |last| last.last_offset + 1);
        let in_order = (lowest..upto).contains(&entry.last_offset);
        if !in_order || !(0..=entry.last_offset).contains(&entry.first_offset) {
            return (entries, Some(format!("entry {at} is out of order")));
        }
        entries.push(entry);
    }
    let torn = (!rest.is_empty()).then(|| format!("{} bytes follow the last entry", rest.len()));
    (entries, torn)
}

/// Adds those of `list` that reach into `from..upto` to `found`. True if nothing in a later list can.
pub(crate) fn overlapping(
    list: &[AbortedTransaction],
    from: i64,
    upto: i64,
    found: &mut Vec<(i64, i64)>,
) -> bool {
    let first = list.partition_point(|entry| entry.last_offset < from);
    for entry in &list[first..] {
        if entry.first_offset < upto {
            found.push((entry.producer_id, entry.first_offset));
        }
        if entry.last_stable_offset >= upto {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(producer_id: i64, first: i64, last: i64, stable: i64) -> AbortedTransaction {
        AbortedTransaction {
            producer_id,
            first_offset: first,
            last_offset: last,
            last_stable_offset: stable,
        }
    }

    fn encoded(entries: &[AbortedTransaction]) -> Vec<u8> {
        let mut bytes = Vec::new();
        entries.iter().for_each(|entry| entry.encode(&mut bytes));
        bytes
    }

    #[test]
    fn entries_are_kafkas_bytes_and_damage_is_noticed() {
        let entries = [entry(1, 2, 3, 4), entry(7, 0, 258, 259)];
        let bytes = encoded(&entries);
        assert_eq!(bytes.len(), 68);
        assert_eq!(&bytes[34..44], [0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(&bytes[52..60], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(decode(&bytes, 3, 259), (entries.to_vec(), None));
        assert_eq!(decode(&bytes, 4, 259).0, [], "one below the segment");
        assert_eq!(decode(&bytes, 3, 258).0.len(), 1, "one above the segment");
        assert_eq!(decode(&bytes[..60], 3, 259).0.len(), 1);
        for damaged in [&bytes[..60], &bytes[1..], &[9; 34]] {
            assert!(decode(damaged, 3, 259).1.is_some());
        }
        let turned = encoded(&[entries[1], entries[0]]);
        assert!(decode(&turned, 0, 1000).1.is_some());
    }

    #[test]
    fn what_reaches_into_a_range_is_found_and_the_search_ends_where_it_may() {
        // Producer 2's transaction is open when 1's ends, so what is stable then ends at its first record.
        let list = [entry(1, 0, 5, 3), entry(2, 3, 9, 10), entry(1, 12, 14, 15)];
        let find = |from, upto| {
            let mut found = Vec::new();
            let complete = overlapping(&list, from, upto, &mut found);
            (found, complete)
        };
        assert_eq!(find(0, 3), (vec![(1, 0)], true));
        assert_eq!(find(0, 4), (vec![(1, 0), (2, 3)], true));
        assert_eq!(find(6, 11), (vec![(2, 3)], true), "the next one is beyond");
        assert_eq!(find(6, 100), (vec![(2, 3), (1, 12)], false));
        assert_eq!(find(10, 12), (vec![], true));
    }
}
