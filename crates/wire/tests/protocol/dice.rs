//! Random values from a seed, with the values in front that break things.

use bytes::Bytes;
use catchword_wire::{Records, Str, Uuid};

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Dice(u64);

#[allow(
    dead_code,
    reason = "which values there are depends on the generated messages"
)]
impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.u64() % end as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn bool(&mut self) -> bool {
        self.once_in(2)
    }

    pub(crate) fn i64(&mut self) -> i64 {
        match self.below(6) {
            0 => 0,
            1 => -1,
            2 => i64::MAX,
            3 => i64::MIN,
            _ => self.u64() as i64 >> self.below(64),
        }
    }

    pub(crate) fn i8(&mut self) -> i8 {
        if self.bool() {
            self.u64() as i8
        } else {
            self.i64() as i8
        }
    }

    pub(crate) fn i16(&mut self) -> i16 {
        if self.bool() {
            self.u64() as i16
        } else {
            self.i64() as i16
        }
    }

    pub(crate) fn u16(&mut self) -> u16 {
        self.i16() as u16
    }

    pub(crate) fn i32(&mut self) -> i32 {
        if self.bool() {
            self.u64() as i32
        } else {
            self.i64() as i32
        }
    }

    pub(crate) fn u32(&mut self) -> u32 {
        self.i32() as u32
    }

    /// Never NaN, which is not equal to itself.
    pub(crate) fn f64(&mut self) -> f64 {
        match self.below(4) {
            0 => 0.0,
            1 => f64::NEG_INFINITY,
            _ => self.i64() as f64 / 7.0,
        }
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        if self.once_in(4) {
            return Uuid::ZERO;
        }
        let (high, low) = (self.u64(), self.u64());
        Uuid((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
    }

    pub(crate) fn string(&mut self) -> Str {
        const CHARS: [char; 12] = ['a', 'b', 'Z', '0', '-', '.', '_', ' ', '"', '\\', 'ß', '🦀'];
        // 127 and 128 bytes are where a compact length becomes two bytes long.
        let len = if self.once_in(20) {
            120 + self.below(20)
        } else {
            self.below(12)
        };
        let text: String = (0..len).map(|_| CHARS[self.below(CHARS.len())]).collect();
        Str::from(text)
    }

    pub(crate) fn bytes(&mut self) -> Bytes {
        let len = if self.once_in(20) {
            120 + self.below(20)
        } else {
            self.below(12)
        };
        (0..len).map(|_| self.u64() as u8).collect()
    }

    /// Small ones, which an encoder copies, and large ones, which it does not.
    pub(crate) fn records(&mut self) -> Records {
        let len = if self.bool() {
            self.below(30)
        } else {
            500 + self.below(2_000)
        };
        let byte = self.u64() as u8;
        Records::from(Bytes::from(vec![byte; len]))
    }

    pub(crate) fn array<T>(&mut self, mut element: impl FnMut(&mut Dice) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| element(self)).collect()
    }

    pub(crate) fn nullable<T>(
        &mut self,
        nullable: bool,
        value: impl FnOnce(&mut Dice) -> T,
    ) -> Option<T> {
        if nullable && self.once_in(3) {
            None
        } else {
            Some(value(self))
        }
    }
}
