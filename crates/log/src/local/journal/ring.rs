//! Where in the journal's file the next block goes: arithmetic only.
//!
//! Blocks follow one another and go on at the front when there is no room at the end. Invariant: no place is given out
//! that a block at or past the tail lies in.

use std::collections::VecDeque;

use super::block::PAGE;

/// The file's places.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Bytes of the file that may be written, the first page aside, which is the file's header.
    capacity: u64,
    /// Where the next block goes if there is room.
    head: u64,
    /// Sequence, position and size of the blocks that may still be needed, oldest first.
    live: VecDeque<(u64, u64, u64)>,
    live_bytes: u64,
}

const START: u64 = PAGE as u64;

impl Ring {
    /// A ring in a file of so many bytes.
    pub(crate) fn new(capacity: u64) -> Ring {
        Ring {
            capacity,
            head: START,
            live: VecDeque::new(),
            live_bytes: 0,
        }
    }

    /// The file's size in bytes.
    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The file has grown.
    pub(crate) fn grow(&mut self, capacity: u64) {
        self.capacity = self.capacity.max(capacity);
    }

    /// A place for a block of `size` bytes, if there is one.
    pub(crate) fn place(&mut self, sequence: u64, size: u64) -> Option<u64> {
        let oldest = self.live.front().map(|(_, position, _)| *position);
        let before_wrap = self.head.checked_add(size)? <= self.capacity
            && oldest.is_none_or(|oldest| oldest < self.head || self.head + size <= oldest);
        let position = if before_wrap {
            self.head
        } else if oldest.is_none_or(|oldest| oldest < self.head && START + size <= oldest)
            && START + size <= self.capacity
        {
            START
        } else {
            return None;
        };
        self.head = position + size;
        self.live.push_back((sequence, position, size));
        self.live_bytes += size;
        Some(position)
    }

    /// Blocks below `tail` are of no use any more.
    pub(crate) fn release(&mut self, tail: u64) {
        while let Some((sequence, _, size)) = self.live.front()
            && *sequence < tail
        {
            self.live_bytes -= size;
            self.live.pop_front();
        }
    }

    /// Bytes of blocks that may still be needed.
    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blocks_go_on_at_the_front_when_the_end_is_reached_and_the_tail_has_left_it() {
        let mut ring = Ring::new(5 * START);
        assert_eq!(ring.place(0, START), Some(START));
        assert_eq!(ring.place(1, 2 * START), Some(2 * START));
        assert_eq!(ring.place(2, 2 * START), None, "there is room for one page");
        ring.release(1);
        assert_eq!(ring.place(2, START), Some(4 * START));
        assert_eq!(ring.place(3, START), Some(START));
        assert_eq!(ring.place(4, START), None, "block 1 is still needed");
        ring.release(2);
        assert_eq!(ring.place(4, START), Some(2 * START));
        assert_eq!(ring.live_bytes(), 3 * START);
    }

    proptest! {
        #[test]
        fn no_block_that_is_needed_is_written_over(
            steps in proptest::collection::vec((1u64..6, 0u64..4), 1..300),
        ) {
            let mut ring = Ring::new(16 * START);
            let mut needed: VecDeque<(u64, u64, u64)> = VecDeque::new();
            let mut tail = 0;
            for (sequence, (pages, keep)) in steps.into_iter().enumerate() {
                let (sequence, size) = (sequence as u64, pages * START);
                if let Some(position) = ring.place(sequence, size) {
                    prop_assert!(position >= START && position + size <= 16 * START);
                    for (_, other, len) in &needed {
                        prop_assert!(position + size <= *other || other + len <= position);
                    }
                    needed.push_back((sequence, position, size));
                }
                while needed.len() as u64 > keep + 1 {
                    let (oldest, _, _) = needed.pop_front().unwrap();
                    tail = oldest + 1;
                }
                ring.release(tail);
                prop_assert_eq!(ring.live_bytes(), needed.iter().map(|(_, _, len)| len).sum::<u64>());
            }
            ring.release(u64::MAX);
            prop_assert!(ring.place(1000, 15 * START).is_some() || ring.place(1001, 7 * START).is_some());
        }
    }
}
