//! Where new member ids come from: a generator that the driver seeds.
//!
//! The same seed gives the same ids, so that a run can be replayed. Ids must be unique, not secret: whoever may
//! describe a group sees them.

use catchword_wire::{Str, Uuid};

/// SplitMix64, the generator that needs no warming up.
#[derive(Debug, Clone)]
pub(crate) struct IdSource {
    state: [u64; 2],
}

/// Kafka's strings are no longer than a 16-bit length can say; a dash and a UUID come after the prefix.
const MAX_PREFIX_BYTES: usize = i16::MAX as usize - 37;

impl IdSource {
    pub(crate) fn new(seed: u128) -> IdSource {
        IdSource {
            state: [seed as u64, (seed >> 64) as u64],
        }
    }

    fn next(&mut self, half: usize) -> u64 {
        let state = &mut self.state[half];
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A new member id: `prefix` (the client id or the group instance id), a dash, a random UUID.
    pub(crate) fn member_id(&mut self, prefix: &str) -> Str {
        let mut end = prefix.len().min(MAX_PREFIX_BYTES);
        while !prefix.is_char_boundary(end) {
            end -= 1;
        }
        let bits = (u128::from(self.next(0)) << 64) | u128::from(self.next(1));
        let uuid = Uuid::from_random(bits.to_be_bytes());
        Str::from(format!("{}-{}", &prefix[..end], uuid.hyphenated()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_no_id_twice() {
        let mut a = IdSource::new(7);
        let mut b = IdSource::new(7);
        let ids: Vec<Str> = (0..1000).map(|_| a.member_id("c")).collect();
        assert!(ids.iter().all(|id| *id == b.member_id("c")));
        let mut sorted = ids.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), ids.len());
        assert_eq!(ids[0].len(), 2 + 36);
    }

    #[test]
    fn a_client_id_of_any_length_gives_an_id_that_fits_kafkas_strings() {
        let id = IdSource::new(1).member_id(&"é".repeat(20_000));
        assert!(id.len() <= i16::MAX as usize);
    }
}
