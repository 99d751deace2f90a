//! Record batches, format v2: the unit in which records travel, are stored and are compressed.
//!
//! Invariant: nothing here trusts a length. Whatever the bytes say, work and memory are bounded by
//! the bytes at hand, and for compressed batches by a limit on what they may inflate to. A batch
//! that passes [`validate()`] can be appended as it came: only its front is stamped anew, its
//! payload is never copied nor compressed again.
//!
//! This module must not know topics, logs or requests: options come in as plain numbers, errors
//! name the Kafka code that fits them and leave the answer to others.
//!
//! Layout of a batch (all integers big-endian):
//!
//! | bytes | field | covered by the CRC |
//! |---|---|---|
//! | 0..8 | base offset | no |
//! | 8..12 | batch length: what follows this field | no |
//! | 12..16 | partition leader epoch | no |
//! | 16 | magic, 2 | no |
//! | 17..21 | CRC-32C of all that follows | – |
//! | 21..23 | attributes: codec 0–2, timestamp type 3, transactional 4, control 5, delete horizon 6 | yes |
//! | 23..27 | last offset delta | yes |
//! | 27..35 | base timestamp, ms (or the delete horizon) | yes |
//! | 35..43 | max timestamp, ms | yes |
//! | 43..51 | producer id | yes |
//! | 51..53 | producer epoch | yes |
//! | 53..57 | base sequence | yes |
//! | 57..61 | count of records | yes |
//! | 61.. | the records, compressed together unless the codec is none | yes |

mod builder;
mod codec;
mod control;
mod error;
mod header;
mod inflate;
mod iter;
mod record;
mod snappy;
mod source;
mod split;
mod stamp;
mod validate;
mod varint;
mod view;

pub use builder::{BatchBuilder, BuildError, EncodedHeaders, NewRecord};
pub use control::{ControlRecord, end_transaction_marker};
pub use error::{BatchError, InvalidBatch, RecordError, RecordFault, RecordReason, code};
pub use header::{
    BatchHeader, Compression, HEADER_LEN, MAGIC, NO_LEADER_EPOCH, NO_PRODUCER_EPOCH,
    NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, STAMP_LEN, TimestampType,
};
pub use inflate::inflated_len;
pub use iter::{Header, Record, RecordIter, records, records_within};
pub use split::{Batch, Split, SplitLenient, split, split_lenient};
pub use stamp::{Stamp, stamped_header, stamped_prefix};
pub use validate::{
    DEFAULT_MAX_INFLATED_BYTES, TimestampPolicy, ValidateOptions, Validated, validate,
};
pub use view::{HeadersView, RecordView, view_records};
