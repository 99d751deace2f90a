//! Kafka's messages, seen from outside: every API and every version, against another
//! implementation and against hostile bytes.
//!
//! Random cases come from a seed. `WIRE_SEED=N` runs with another one, `WIRE_ROUNDS=N` makes N
//! times as many cases; a failure prints the seed that shows it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod dice;
mod differential;
mod fuzz;
mod headers;
mod hostile;
mod memory;
mod random;
mod tree;

use bytes::Bytes;
use catchword_wire::{Decoder, Encoder, Message};

/// A message's bytes at a version.
fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).unwrap();
    encoder.into_bytes().unwrap()
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// The seed that all others come from.
fn seed() -> u64 {
    setting("WIRE_SEED", 20_260_101)
}

/// How many times the usual count of cases is asked for.
fn rounds() -> u64 {
    setting("WIRE_ROUNDS", 1)
}

/// One kind of message, without its type: what the hostile tests need of it.
struct Kind {
    name: &'static str,
    versions: (i16, i16),
    /// Bytes of a random message.
    random: fn(&mut dice::Dice, i16) -> Bytes,
    /// Decodes and, if that went well, encodes again.
    again: fn(Bytes, i16) -> Option<Bytes>,
    /// Decodes, and prints what came out.
    show: fn(Bytes, i16) -> Option<String>,
    /// Decodes; whether it went well, and how many bytes were left.
    decode: fn(Bytes, i16) -> Option<usize>,
}

/// Every kind of message and of record.
fn kinds() -> Vec<Kind> {
    fn kind<M: Message + random::Random + std::fmt::Debug>() -> Kind {
        Kind {
            name: M::NAME,
            versions: M::VERSIONS,
            random: |dice, version| encode(&M::random(dice, version), version),
            again: |bytes, version| {
                let message = M::decode(&mut Decoder::new(bytes), version).ok()?;
                let mut encoder = Encoder::new();
                // Text that was not UTF-8 may have grown beyond its length field.
                message.encode(&mut encoder, version).ok()?;
                Some(encoder.into_bytes().unwrap())
            },
            show: |bytes, version| {
                let message = M::decode(&mut Decoder::new(bytes), version).ok()?;
                Some(format!("{message:?}"))
            },
            decode: |bytes, version| {
                let mut decoder = Decoder::new(bytes);
                M::decode(&mut decoder, version)
                    .ok()
                    .map(|_| decoder.remaining())
            },
        }
    }
    macro_rules! messages { ($($name:ident),*) => { vec![$(kind::<catchword_wire::messages::$name>()),*] } }
    macro_rules! records { ($($name:ident),*) => { vec![$(kind::<catchword_wire::records::$name>()),*] } }
    let mut all: Vec<Kind> = random::all_messages!(messages);
    all.extend::<Vec<Kind>>(random::all_records!(records));
    all
}
