//! How Kafka lays values out: the primitives that the generated messages are made of.
//!
//! Invariant: decoding never allocates more than a fixed multiple of the bytes it was given, whatever lengths those
//! bytes claim; encoding never copies records.

use bytes::{BufMut, Bytes, BytesMut};

use crate::segment::{Records, Segment};
use crate::str::Str;
use crate::uuid::Uuid;

/// Why bytes are not the message that they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the message does.
    #[error("{needed} more bytes are needed at byte {position}, {left} are left")]
    Truncated {
        /// Where in the message.
        position: usize,
        /// How many bytes the next value takes.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A length that no message can have.
    #[error("impossible length {length} at byte {position}")]
    BadLength {
        /// Where in the message.
        position: usize,
        /// What the message says.
        length: i64,
    },
    /// A null where the protocol allows none.
    #[error("null at byte {position}, where the protocol allows none")]
    UnexpectedNull {
        /// Where in the message.
        position: usize,
    },
    /// A variable-length integer longer than its type.
    #[error("malformed variable-length integer at byte {position}")]
    BadVarint {
        /// Where in the message.
        position: usize,
    },
    /// More elements than a message of this size can sensibly hold; see [`Decoder::new`].
    #[error(
        "the message would take {needed} bytes of memory or more, out of proportion to its size"
    )]
    OutOfProportion {
        /// The allocation that went too far, in bytes.
        needed: usize,
    },
    /// A version that this message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}

/// Why a value cannot be put on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Text or bytes longer than their length field can say.
    #[error("{length} bytes are more than the field's length can say")]
    TooLong {
        /// The length in bytes or elements.
        length: usize,
    },
    /// A version that this message does not have.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// The message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}

/// A message of Kafka's protocol or of its logs, at any of its versions.
pub trait Message: Sized {
    /// The message's name in Kafka's schemas.
    const NAME: &'static str;
    /// Lowest and highest version.
    const VERSIONS: (i16, i16);
    /// First version with compact lengths and tagged fields; `i16::MAX` if none has them.
    const FLEXIBLE_FROM: i16;

    /// Reads one message.
    ///
    /// # Errors
    /// When the bytes are not such a message, or it has no such version.
    fn decode(from: &mut Decoder, version: i16) -> Result<Self, DecodeError>;

    /// Writes the message. Fields that the version does not have are left out; a null that the version cannot say
    /// becomes the empty value.
    ///
    /// # Errors
    /// When a value does not fit its length field, or the message has no such version.
    fn encode(&self, to: &mut Encoder, version: i16) -> Result<(), EncodeError>;

    /// Tells the client that it is held up for at least so many milliseconds, if the message can say so.
    fn throttle_at_least(&mut self, _ms: i32) {}
}

/// Reads values off the front of a buffer that it shares with what it reads.
#[derive(Debug)]
pub struct Decoder {
    bytes: Bytes,
    position: usize,
    memory_left: usize,
}

/// Heap bytes that a message may take besides those of its own frame: this much, and [`MEMORY_PER_BYTE`] for each
/// byte of the frame. Real requests stay far below: their elements hold names and ids.
const MEMORY_BASE: usize = 1 << 16;
const MEMORY_PER_BYTE: usize = 24;

impl Decoder {
    /// A decoder of these bytes. The structures it makes may take a fixed multiple of the bytes' length in memory;
    /// beyond that it reports [`DecodeError::OutOfProportion`].
    pub fn new(bytes: Bytes) -> Decoder {
        let memory_left = MEMORY_BASE + MEMORY_PER_BYTE * bytes.len();
        Decoder {
            bytes,
            position: 0,
            memory_left,
        }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// What is left, undecoded.
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(self.position..)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self
            .bytes
            .get(self.position..)
            .and_then(|rest| rest.first_chunk::<N>())
        {
            Some(chunk) => {
                self.position += N;
                Ok(*chunk)
            }
            None => Err(self.truncated(N)),
        }
    }

    fn truncated(&self, needed: usize) -> DecodeError {
        DecodeError::Truncated {
            position: self.position,
            needed,
            left: self.remaining(),
        }
    }

    fn take_shared(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let bytes = self.bytes.slice(self.position..self.position + len);
        self.position += len;
        Ok(bytes)
    }

    /// One byte, true unless zero.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.take::<1>()?[0] != 0)
    }

    /// Signed 8-bit integer.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.take()?))
    }

    /// Signed 16-bit integer.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.take()?))
    }

    /// Unsigned 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.take()?))
    }

    /// Signed 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    /// Unsigned 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    /// Signed 64-bit integer.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    /// IEEE 754 double.
    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.take()?))
    }

    /// 16-byte id.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.take()?))
    }

    /// Unsigned variable-length integer of at most 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let position = self.position;
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.take::<1>()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // The fifth byte holds the four highest bits.
                return if shift == 28 && byte > 0x0f {
                    Err(DecodeError::BadVarint { position })
                } else {
                    Ok(value)
                };
            }
        }
        Err(DecodeError::BadVarint { position })
    }

    /// A length; `None` for null. `wide` chooses 32 bits over 16 where lengths are not compact.
    fn length(&mut self, flexible: bool, wide: bool) -> Result<Option<usize>, DecodeError> {
        let position = self.position;
        let length = match (flexible, wide) {
            (true, _) => i64::from(self.uvarint()?) - 1,
            (false, true) => i64::from(self.i32()?),
            (false, false) => i64::from(self.i16()?),
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(DecodeError::BadLength { position, length }),
        }
    }

    fn not_null<T>(&self, value: Option<T>) -> Result<T, DecodeError> {
        value.ok_or(DecodeError::UnexpectedNull {
            position: self.position,
        })
    }

    /// Text or null.
    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<Str>, DecodeError> {
        let position = self.position;
        match self.length(flexible, false)? {
            None => Ok(None),
            Some(0) => Ok(Some(Str::EMPTY)),
            // As in Kafka, compact text is no longer than other text: so whatever is read can be echoed.
            Some(len) if len > i16::MAX as usize => Err(DecodeError::BadLength {
                position,
                length: len as i64,
            }),
            Some(len) => Ok(Some(Str::from_lossy(self.take_shared(len)?))),
        }
    }

    /// Text.
    pub fn string(&mut self, flexible: bool) -> Result<Str, DecodeError> {
        let text = self.nullable_string(flexible)?;
        self.not_null(text)
    }

    /// Bytes or null.
    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        match self.length(flexible, true)? {
            None => Ok(None),
            Some(len) => Ok(Some(self.take_shared(len)?)),
        }
    }

    /// Bytes.
    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        let bytes = self.nullable_bytes(flexible)?;
        self.not_null(bytes)
    }

    /// Records, not looked into.
    pub fn nullable_records(&mut self, flexible: bool) -> Result<Option<Records>, DecodeError> {
        Ok(self.nullable_bytes(flexible)?.map(Records::from))
    }

    /// An array or null, each element read by `element`.
    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        mut element: impl FnMut(&mut Decoder) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(len) = self.length(flexible, true)? else {
            return Ok(None);
        };
        // Each element takes a byte at least, so a longer array is a lie.
        if len > self.remaining() {
            return Err(self.truncated(len));
        }
        let needed = len.saturating_mul(size_of::<T>());
        match self.memory_left.checked_sub(needed) {
            Some(left) => self.memory_left = left,
            None => return Err(DecodeError::OutOfProportion { needed }),
        }
        let mut array = Vec::with_capacity(len);
        for _ in 0..len {
            array.push(element(self)?);
        }
        Ok(Some(array))
    }

    /// An array, each element read by `element`.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        element: impl FnMut(&mut Decoder) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let array = self.nullable_array(flexible, element)?;
        self.not_null(array)
    }

    /// A struct or null: a byte says which.
    pub fn nullable_struct<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.i8()? < 0 {
            Ok(None)
        } else {
            read(self).map(Some)
        }
    }

    /// Tagged fields: `field` reads the ones it knows and says so; the others are skipped.
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(&mut Decoder, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            if size > self.remaining() {
                return Err(self.truncated(size));
            }
            let end = self.position + size;
            if field(self, tag)? && self.position != end {
                let length = size as i64;
                return Err(DecodeError::BadLength {
                    position: self.position,
                    length,
                });
            }
            self.position = end;
        }
        Ok(())
    }
}

/// Writes values into a buffer; records are kept aside as segments.
#[derive(Debug, Default)]
pub struct Encoder {
    buf: BytesMut,
    /// Records and the place in `buf` before which they belong.
    inserts: Vec<(usize, Segment)>,
    inserted_len: usize,
}

/// Records up to this many bytes are copied: cheaper than a segment of their own in a vectored write.
const INLINE_RECORDS: usize = 512;

impl Encoder {
    /// An empty encoder.
    pub fn new() -> Encoder {
        Encoder::default()
    }

    /// An empty encoder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Encoder {
        Encoder {
            buf: BytesMut::with_capacity(capacity),
            ..Encoder::default()
        }
    }

    /// Bytes written so far, records included.
    pub fn len(&self) -> usize {
        self.buf.len() + self.inserted_len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Overwrites four bytes at `position`, for a length that is known only at the end.
    pub fn patch_i32(&mut self, position: usize, value: i32) {
        self.buf[position..position + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// What was written, in pieces that can go to a socket in order.
    pub fn into_segments(self) -> Vec<Segment> {
        let rest = self.buf.freeze();
        if self.inserts.is_empty() {
            return vec![Segment::Bytes(rest)];
        }
        let mut segments = Vec::with_capacity(2 * self.inserts.len() + 1);
        let mut done = 0;
        for (at, segment) in self.inserts {
            if at > done {
                segments.push(Segment::Bytes(rest.slice(done..at)));
                done = at;
            }
            segments.push(segment);
        }
        if done < rest.len() {
            segments.push(Segment::Bytes(rest.slice(done..)));
        }
        segments
    }

    /// What was written, in one buffer.
    ///
    /// # Errors
    /// What reading records from a file gives.
    pub fn into_bytes(self) -> std::io::Result<Bytes> {
        Records::from_segments(self.into_segments()).read()
    }

    /// One byte.
    pub fn bool(&mut self, value: bool) {
        self.buf.put_u8(u8::from(value));
    }

    /// Signed 8-bit integer.
    pub fn i8(&mut self, value: i8) {
        self.buf.put_i8(value);
    }

    /// Signed 16-bit integer.
    pub fn i16(&mut self, value: i16) {
        self.buf.put_i16(value);
    }

    /// Unsigned 16-bit integer.
    pub fn u16(&mut self, value: u16) {
        self.buf.put_u16(value);
    }

    /// Signed 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.buf.put_i32(value);
    }

    /// Unsigned 32-bit integer.
    pub fn u32(&mut self, value: u32) {
        self.buf.put_u32(value);
    }

    /// Signed 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.buf.put_i64(value);
    }

    /// IEEE 754 double.
    pub fn f64(&mut self, value: f64) {
        self.buf.put_f64(value);
    }

    /// 16-byte id.
    pub fn uuid(&mut self, value: Uuid) {
        self.buf.put_slice(&value.0);
    }

    /// Unsigned variable-length integer.
    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buf.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.buf.put_u8(value as u8);
    }

    fn length(
        &mut self,
        len: Option<usize>,
        flexible: bool,
        wide: bool,
    ) -> Result<(), EncodeError> {
        let too_long = || EncodeError::TooLong {
            length: len.unwrap_or_default(),
        };
        match (flexible, wide, len) {
            (true, _, None) => self.uvarint(0),
            (true, _, Some(n)) => {
                let n = i32::try_from(n).map_err(|_| too_long())?;
                self.uvarint(n as u32 + 1);
            }
            (false, true, None) => self.i32(-1),
            (false, true, Some(n)) => self.i32(i32::try_from(n).map_err(|_| too_long())?),
            (false, false, None) => self.i16(-1),
            (false, false, Some(n)) => self.i16(i16::try_from(n).map_err(|_| too_long())?),
        }
        Ok(())
    }

    /// Text.
    pub fn string(&mut self, value: &str, flexible: bool) -> Result<(), EncodeError> {
        // KIP-482 keeps compact strings as short as the others.
        if value.len() > i16::MAX as usize {
            return Err(EncodeError::TooLong {
                length: value.len(),
            });
        }
        self.length(Some(value.len()), flexible, false)?;
        self.buf.put_slice(value.as_bytes());
        Ok(())
    }

    /// Text or null; where the version knows no null, the empty text.
    pub fn nullable_string(
        &mut self,
        value: Option<&Str>,
        flexible: bool,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        match value {
            Some(text) => self.string(text, flexible),
            None if nullable => self.length(None, flexible, false),
            None => self.length(Some(0), flexible, false),
        }
    }

    /// Bytes.
    pub fn bytes(&mut self, value: &[u8], flexible: bool) -> Result<(), EncodeError> {
        self.length(Some(value.len()), flexible, true)?;
        self.buf.put_slice(value);
        Ok(())
    }

    /// Bytes or null; where the version knows no null, no bytes.
    pub fn nullable_bytes(
        &mut self,
        value: Option<&Bytes>,
        flexible: bool,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        match value {
            Some(bytes) => self.bytes(bytes, flexible),
            None if nullable => self.length(None, flexible, true),
            None => self.length(Some(0), flexible, true),
        }
    }

    /// Records or null, kept as segments unless small.
    pub fn nullable_records(
        &mut self,
        value: Option<&Records>,
        flexible: bool,
    ) -> Result<(), EncodeError> {
        let Some(records) = value else {
            return self.length(None, flexible, true);
        };
        self.length(Some(records.len()), flexible, true)?;
        for segment in records.segments() {
            match segment {
                Segment::Bytes(bytes) if bytes.len() <= INLINE_RECORDS => self.buf.put_slice(bytes),
                other => {
                    self.inserted_len += other.len();
                    self.inserts.push((self.buf.len(), other.clone()));
                }
            }
        }
        Ok(())
    }

    /// An array, each element written by `element`.
    pub fn array<T>(
        &mut self,
        value: &[T],
        flexible: bool,
        mut element: impl FnMut(&mut Encoder, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.length(Some(value.len()), flexible, true)?;
        value.iter().try_for_each(|e| element(self, e))
    }

    /// An array or null; where the version knows no null, the empty array.
    pub fn nullable_array<T>(
        &mut self,
        value: Option<&Vec<T>>,
        flexible: bool,
        nullable: bool,
        element: impl FnMut(&mut Encoder, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(array) => self.array(array, flexible, element),
            None if nullable => self.length(None, flexible, true),
            None => self.length(Some(0), flexible, true),
        }
    }

    /// A struct or null: a byte says which.
    pub fn nullable_struct<T>(
        &mut self,
        value: Option<&T>,
        write: impl FnOnce(&mut Encoder, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                self.i8(1);
                write(self, value)
            }
            None => {
                self.i8(-1);
                Ok(())
            }
        }
    }

    /// One tagged field: its tag, its size, then what `write` writes. Records must not be inside.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut inner = Encoder::new();
        write(&mut inner)?;
        self.uvarint(tag);
        self.uvarint(inner.buf.len() as u32);
        self.buf.put_slice(&inner.buf);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_short_as_its_echo_must_be() {
        let mut e = Encoder::new();
        e.uvarint(32_768 + 1);
        let mut bytes = e.into_bytes().unwrap().to_vec();
        bytes.resize(40_000, b'x');
        let mut d = Decoder::new(bytes.into());
        assert_eq!(
            d.string(true),
            Err(DecodeError::BadLength {
                position: 0,
                length: 32_768
            })
        );
    }

    #[test]
    fn a_length_says_no_more_than_the_bytes_that_are_there() {
        let mut d = Decoder::new(Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]));
        assert!(matches!(
            d.array(false, |d| d.i8()),
            Err(DecodeError::Truncated { .. })
        ));
    }

    #[test]
    fn records_are_not_copied_but_take_their_place_in_the_frame() {
        let records = Records::from(Bytes::from(vec![7; 4096]));
        let mut e = Encoder::new();
        e.i8(1);
        e.nullable_records(Some(&records), true).unwrap();
        e.i8(2);
        assert_eq!(e.len(), 1 + 2 + 4096 + 1);
        let segments = e.into_segments();
        assert_eq!(
            segments.iter().map(Segment::len).collect::<Vec<_>>(),
            [3, 4096, 1]
        );
    }
}
