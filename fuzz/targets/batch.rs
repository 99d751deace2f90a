//! Record batches: splitting, validating and reading must not panic, and what validates must be
//! readable in full. All but the first 21 bytes of a batch are the fuzzer's; the CRC is made to fit.

#![no_main]

use bytes::{Bytes, BytesMut};
use catchword_wire::batch::{ValidateOptions, records_within, split, split_lenient, validate};
use libfuzzer_sys::fuzz_target;

const LIMIT: u64 = 1 << 20;

fn exercise(bytes: Bytes) {
    let options = ValidateOptions {
        max_inflated_bytes: LIMIT,
        ..ValidateOptions::default()
    };
    for batch in split_lenient(bytes.clone()).chain(split(bytes)).flatten() {
        let valid = validate(&batch, &options);
        let read: Option<Vec<_>> = records_within(&batch, LIMIT).ok().map(Iterator::collect);
        if let Ok(valid) = valid {
            let read = read.expect("what is valid can be read");
            assert_eq!(read.len(), valid.records_count as usize);
            assert!(read.iter().all(Result::is_ok));
        }
    }
}

fuzz_target!(|data: &[u8]| {
    exercise(Bytes::copy_from_slice(data));
    let mut batch = BytesMut::zeroed(21);
    batch.extend_from_slice(data);
    let length = (batch.len() as i32 - 12).to_be_bytes();
    batch[8..12].copy_from_slice(&length);
    batch[16] = 2;
    let crc = crc_fast::crc32_iscsi(&batch[21..]).to_be_bytes();
    batch[17..21].copy_from_slice(&crc);
    exercise(batch.freeze());
});
