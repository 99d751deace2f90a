//! Variable-length integers as records have them: zigzag, seven bits a byte, lowest first.
//!
//! Invariant: a number that does not fit its type is an error, never cut to size.

use super::error::RecordFault;
use super::source::{Source, SourceError};

/// Reads a 32-bit integer of at most 5 bytes.
#[inline]
pub(super) fn read_varint<S: Source>(source: &mut S) -> Result<i32, SourceError> {
    let first = source.byte()?;
    if first < 0x80 {
        return Ok(unzigzag32(u32::from(first)));
    }
    let mut value = u32::from(first & 0x7f);
    for shift in [7, 14, 21, 28] {
        let byte = source.byte()?;
        if shift == 28 && byte > 0x0f {
            break;
        }
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(unzigzag32(value));
        }
    }
    Err(SourceError::Fault(RecordFault::VarintTooLong))
}

/// Reads a 64-bit integer of at most 10 bytes.
#[inline]
pub(super) fn read_varlong<S: Source>(source: &mut S) -> Result<i64, SourceError> {
    let mut value = 0u64;
    for shift in (0..=63).step_by(7) {
        let byte = source.byte()?;
        if shift == 63 && byte > 0x01 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(SourceError::Fault(RecordFault::VarintTooLong))
}

#[inline]
fn unzigzag32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// Appends a 32-bit integer.
pub(super) fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_varlong(out, i64::from(value));
}

/// Appends a 64-bit integer. A 32-bit one has the same bytes in both widths.
pub(super) fn write_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes that [`write_varlong`] needs.
pub(super) fn varlong_len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::super::source::SliceSource;
    use super::*;

    #[test]
    fn every_width_round_trips() {
        let mut values = vec![0i64, 1, -1, i64::MAX, i64::MIN];
        values.extend((0..63).flat_map(|bit| [1 << bit, -(1 << bit), (1 << bit) - 1]));
        for value in values {
            let mut bytes = Vec::new();
            write_varlong(&mut bytes, value);
            assert_eq!(bytes.len(), varlong_len(value), "{value}");
            assert_eq!(read_varlong(&mut SliceSource::new(&bytes)), Ok(value));
            if let Ok(small) = i32::try_from(value) {
                assert_eq!(read_varint(&mut SliceSource::new(&bytes)), Ok(small));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let too_long = Err(SourceError::Fault(RecordFault::VarintTooLong));
        for bytes in [&[0xff, 0xff, 0xff, 0xff, 0x1f][..], &[0x80; 5]] {
            assert_eq!(read_varint(&mut SliceSource::new(bytes)), too_long);
        }
        let mut eleven = [0x80; 11];
        eleven[10] = 0;
        let mut wide = [0xff; 10];
        wide[9] = 0x02;
        for bytes in [&eleven[..], &wide] {
            let read = read_varlong(&mut SliceSource::new(bytes)).map(|_| 0);
            assert_eq!(read, Err(SourceError::Fault(RecordFault::VarintTooLong)));
        }
        assert_eq!(
            read_varint(&mut SliceSource::new(&[0x80])),
            Err(SourceError::Fault(RecordFault::PastEnd))
        );
    }
}
