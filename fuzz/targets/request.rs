//! A request frame as a connection reads it, and any message or record by its number: decoding must
//! not panic, and what is decoded must encode to what decodes and encodes the same.
//!
//! The first byte chooses: 0 a frame with its header, else a kind of message; the second is the
//! message's version.

#![no_main]

#[path = "../../crates/wire/tests/protocol/random/names.rs"]
mod names;

use std::sync::LazyLock;

use bytes::Bytes;
use catchword_wire::api::ApiKey;
use catchword_wire::frame::RequestHead;
use catchword_wire::{Decoder, Encoder, Message, messages, records};
use libfuzzer_sys::fuzz_target;

fn again<M: Message>(bytes: Bytes, version: i16) -> Option<Bytes> {
    let message = M::decode(&mut Decoder::new(bytes), version).ok()?;
    let mut encoder = Encoder::new();
    message.encode(&mut encoder, version).ok()?;
    Some(encoder.into_bytes().expect("records in memory"))
}

fn is_stable<M: Message>(bytes: Bytes, version: i16) {
    if let Some(once) = again::<M>(bytes, version) {
        assert_eq!(
            again::<M>(once.clone(), version),
            Some(once),
            "{} v{version}",
            M::NAME
        );
    }
}

/// Name and check of every message and record.
fn checks() -> Vec<(&'static str, fn(Bytes, i16))> {
    let mut checks: Vec<(&'static str, fn(Bytes, i16))> = Vec::new();
    macro_rules! messages { ($($name:ident),* $(,)?) => {
        $(checks.push((stringify!($name), is_stable::<messages::$name>));)*
    } }
    macro_rules! records { ($($name:ident),* $(,)?) => {
        $(checks.push((stringify!($name), is_stable::<records::$name>));)*
    } }
    names::all_messages!(messages);
    names::all_records!(records);
    checks
}

static CHECKS: LazyLock<Vec<(&str, fn(Bytes, i16))>> = LazyLock::new(checks);

fuzz_target!(|data: &[u8]| {
    let [kind, version, rest @ ..] = data else {
        return;
    };
    let bytes = Bytes::copy_from_slice(rest);
    if *kind != 0 {
        let (_, check) = CHECKS[usize::from(*kind) % CHECKS.len()];
        check(bytes, i16::from(*version as i8));
        return;
    }
    let mut decoder = Decoder::new(bytes);
    let Ok(head) = RequestHead::decode(&mut decoder) else {
        return;
    };
    let Some(api) = ApiKey::from_code(head.api_key) else {
        return;
    };
    let name = format!("{}Request", api.info().name);
    let (_, check) = CHECKS
        .iter()
        .find(|(known, _)| *known == name)
        .expect("every API");
    check(decoder.rest(), head.api_version);
});
