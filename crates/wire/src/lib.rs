//! Kafka's bytes, and nothing else: frames, messages, record batches.
//!
//! This crate knows how Kafka lays things out on the wire and in its logs. It must not know what a broker does with
//! them: no sockets, no files beyond a handle that is passed through, no clock.
//!
//! [`messages`] and [`records`] are generated from Kafka's schemas by `cargo xtask messages`; everything else is by hand;
//! [`old`] has what those schemas no longer tell.

pub mod api;
pub mod batch;
pub mod codec;
mod error_code;
pub mod frame;
#[rustfmt::skip]
pub mod messages;
pub mod old;
#[rustfmt::skip]
pub mod records;
mod segment;
mod str;
mod uuid;

pub use codec::{DecodeError, Decoder, EncodeError, Encoder, Message};
pub use error_code::ErrorCode;
pub use segment::{FileSlice, Records, Segment};
pub use str::Str;
pub use uuid::{ParseUuidError, Uuid};
