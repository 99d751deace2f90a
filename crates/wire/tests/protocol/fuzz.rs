//! Mutations of valid frames, messages and batches: never a panic, never memory out of proportion,
//! and what is read once is written so that it reads the same again.
//!
//! Runs a few seconds by default; `WIRE_ROUNDS=1000 WIRE_SEED=7` runs longer and elsewhere.

use bytes::{Bytes, BytesMut};
use catchword_wire::Decoder;
use catchword_wire::api::ApiKey;
use catchword_wire::batch::{
    BatchBuilder, Compression, NewRecord, ValidateOptions, records, split, split_lenient, validate,
};
use catchword_wire::frame::RequestHead;

use crate::dice::Dice;
use crate::hostile::allowance;
use crate::memory::peak;
use crate::{Kind, kinds, rounds, seed};

/// Changes bytes as bad luck and bad will do.
fn mutate(bytes: &[u8], dice: &mut Dice) -> BytesMut {
    const INTERESTING: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 0x0f];
    let mut bytes = BytesMut::from(bytes);
    for _ in 0..1 + dice.below(4) {
        if bytes.is_empty() {
            bytes.extend_from_slice(&[0]);
        }
        let at = dice.below(bytes.len());
        let len = 1 + dice.below(8.min(bytes.len() - at));
        match dice.below(7) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at..at + len].fill(INTERESTING[dice.below(INTERESTING.len())]),
            2 => bytes[at] = dice.u64() as u8,
            3 => bytes.truncate(at),
            4 => {
                let tail = bytes.split_off(at);
                bytes.extend_from_slice(&tail[len.min(tail.len())..]);
            }
            5 => {
                let tail = bytes.split_off(at);
                bytes.extend_from_slice(&tail[..len]);
                bytes.extend_from_slice(&tail);
            }
            _ => {
                let number = (dice.i64() as i32).to_be_bytes();
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
        }
    }
    bytes
}

fn is_harmless(kind: &Kind, bytes: &Bytes, version: i16, case: &str) {
    let (decoded, most) = peak(|| (kind.decode)(bytes.clone(), version));
    let allowed = allowance(bytes.len());
    assert!(
        most <= allowed,
        "{case}: {most} bytes of memory for {}",
        bytes.len()
    );
    let Some(left) = decoded else { return };
    assert!(left <= bytes.len());
    if let Some(again) = (kind.again)(bytes.clone(), version) {
        let twice = (kind.again)(again.clone(), version);
        assert_eq!(
            twice.as_ref(),
            Some(&again),
            "{case}: written again it reads otherwise"
        );
    }
}

#[test]
fn mutated_messages() {
    let kinds = kinds();
    let mut seeds = Dice::new(seed() ^ 0xf022);
    for _ in 0..60_000 * rounds() {
        let case_seed = seeds.u64();
        let dice = &mut Dice::new(case_seed);
        let kind = &kinds[dice.below(kinds.len())];
        let (first, last) = kind.versions;
        let version = first + dice.below((last - first) as usize + 1) as i16;
        let bytes = mutate(&(kind.random)(dice, version), dice).freeze();
        let case = format!("{} v{version}, seed {case_seed}", kind.name);
        is_harmless(kind, &bytes, version, &case);
    }
}

/// Whole request frames, as a connection reads them: the header first, the body by what it says.
#[test]
fn mutated_frames() {
    let kinds = kinds();
    let mut seeds = Dice::new(seed() ^ 0xf4a3e);
    let mut read = 0;
    for _ in 0..30_000 * rounds() {
        let case_seed = seeds.u64();
        let dice = &mut Dice::new(case_seed);
        let api = ApiKey::ALL[dice.below(ApiKey::ALL.len())];
        let (first, last) = api.info().versions;
        let version = first + dice.below((last - first) as usize + 1) as i16;
        let mut frame = BytesMut::new();
        frame.extend_from_slice(&api.code().to_be_bytes());
        frame.extend_from_slice(&version.to_be_bytes());
        frame.extend_from_slice(&[0, 0, 0, 1, 0, 2, b'm', b'e']);
        if version >= api.info().flexible_from {
            frame.extend_from_slice(&[0]);
        }
        frame.extend_from_slice(&(request(&kinds, api).random)(dice, version));
        let frame = mutate(&frame, dice).freeze();

        let allowed = 4096 + 6 * frame.len();
        let mut decoder = Decoder::new(frame);
        let (head, most) = peak(|| RequestHead::decode(&mut decoder));
        assert!(
            most <= allowed,
            "seed {case_seed}: {most} bytes of memory for a header"
        );
        let Ok(head) = head else { continue };
        let Some(api) = ApiKey::from_code(head.api_key) else {
            continue;
        };
        read += 1;
        let case = format!("frame of {api:?} v{}, seed {case_seed}", head.api_version);
        is_harmless(
            request(&kinds, api),
            &decoder.rest(),
            head.api_version,
            &case,
        );
    }
    assert!(read > 1_000, "most headers are still readable: {read}");
}

fn request(kinds: &[Kind], api: ApiKey) -> &Kind {
    let name = format!("{}Request", api.info().name);
    kinds
        .iter()
        .find(|kind| kind.name == name)
        .expect("every API has a request")
}

fn batch(dice: &mut Dice) -> Bytes {
    let codecs = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let mut builder = BatchBuilder::new(0).compression(codecs[dice.below(5)]);
    for _ in 0..1 + dice.below(5) {
        let (key, value) = (dice.bytes(), dice.bytes());
        let headers = dice.array(|dice| (dice.bytes(), dice.nullable(true, Dice::bytes)));
        let record = NewRecord {
            timestamp: dice.i64(),
            key: dice.nullable(true, |_| &key[..]),
            value: dice.nullable(true, |_| &value[..]),
            headers: &headers,
        };
        builder.push(record).unwrap();
    }
    builder.build().unwrap()
}

#[test]
fn mutated_batches() {
    let mut seeds = Dice::new(seed() ^ 0xba7c);
    let options = ValidateOptions {
        max_inflated_bytes: 1 << 20,
        ..ValidateOptions::default()
    };
    let (mut valid, mut invalid) = (0, 0);
    for _ in 0..20_000 * rounds() {
        let case_seed = seeds.u64();
        let dice = &mut Dice::new(case_seed);
        let mut bytes = mutate(&batch(dice), dice);
        // A checksum that fits lets most mutations through to what lies behind it.
        if bytes.len() > 61 && !dice.once_in(8) {
            bytes[0..8].fill(0);
            let length = (bytes.len() as i32 - 12).to_be_bytes();
            bytes[8..12].copy_from_slice(&length);
            bytes[16] = 2;
            let crc = crc_fast::crc32_iscsi(&bytes[21..]).to_be_bytes();
            bytes[17..21].copy_from_slice(&crc);
        }
        let bytes = bytes.freeze();
        for batch in split_lenient(bytes.clone()).chain(split(bytes)) {
            let Ok(batch) = batch else { continue };
            let (result, most) = peak(|| validate(&batch, &options));
            // zstd's window and lz4's blocks are outside or above; the rest is one small buffer.
            assert!(most < 16 << 20, "seed {case_seed}: {most} bytes of memory");
            let read: Option<Vec<_>> = records(&batch).ok().map(Iterator::collect);
            match result {
                Ok(validated) => {
                    valid += 1;
                    let read = read.unwrap();
                    assert_eq!(
                        read.len() as i32,
                        validated.records_count,
                        "seed {case_seed}"
                    );
                    assert!(read.iter().all(Result::is_ok), "seed {case_seed}");
                }
                Err(_) => invalid += 1,
            }
        }
    }
    assert!(
        valid > 100 && invalid > 100,
        "both happen: {valid} and {invalid}"
    );
}
