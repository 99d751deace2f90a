//! Where a bookmark was before somebody moved it, as the record of that move says itself: an undo needs no other record.
//!
//! ```text
//! cw.from  none
//!          unknown
//!          OFFSET EPOCH COMMIT_MS TOPIC_ID|- EXPIRY_MS|- METADATA
//! ```
//! Separated by single spaces; the metadata is all that follows the fifth, whatever is in it. Persisted: never change what
//! a field means.

use catchword_wire::{Str, Uuid};

use super::headers::{FROM, with};
use crate::effect::Headers;
use crate::offsets::Bookmark;

/// Where a bookmark was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// There was none.
    Nowhere,
    /// Records that told it were lost before they were read.
    Unknown,
    At(Bookmark),
}

/// The value that says that nobody knows.
const UNKNOWN: &str = "unknown";

/// The headers of a record of another cluster's log, of whose bookmark's moves some were lost before they were read: where it was
/// must not be told by the last that was read.
pub fn of_nobody_knows_where(headers: &Headers) -> Headers {
    with(headers, FROM, UNKNOWN.into())
}

/// The headers of a request and where this one of its bookmarks was.
pub(crate) fn from(headers: &Headers, before: Option<&Bookmark>) -> Headers {
    with(headers, FROM, text(before))
}

fn text(before: Option<&Bookmark>) -> String {
    let Some(before) = before else {
        return "none".into();
    };
    let topic_id = match before.topic_id.is_zero() {
        true => "-".into(),
        false => before.topic_id.to_string(),
    };
    let expiry = before.expire_timestamp_ms();
    let expiry = expiry.map_or_else(|| "-".into(), |at_ms| at_ms.to_string());
    let (offset, epoch) = (before.offset, before.leader_epoch);
    let (at_ms, metadata) = (before.commit_timestamp_ms, before.metadata());
    format!("{offset} {epoch} {at_ms} {topic_id} {expiry} {metadata}")
}

/// Reads the header's value; `None` if this version does not understand it.
pub(crate) fn read(text: &str) -> Option<Origin> {
    if text == "none" {
        return Some(Origin::Nowhere);
    }
    if text == UNKNOWN {
        return Some(Origin::Unknown);
    }
    let mut fields = text.splitn(6, ' ');
    let mut field = || fields.next();
    let (offset, epoch, at_ms) = (field()?, field()?, field()?);
    let (topic_id, expiry, metadata) = (field()?, field()?, field()?);
    let topic_id = match topic_id {
        "-" => Uuid::ZERO,
        id => id.parse().ok()?,
    };
    let expiry = match expiry {
        "-" => None,
        at_ms => Some(at_ms.parse().ok()?),
    };
    Some(Origin::At(Bookmark::new(
        offset.parse().ok()?,
        epoch.parse().ok()?,
        at_ms.parse().ok()?,
        topic_id,
        Str::copy(metadata),
        expiry,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_whatever_the_client_keeps_beside_it() {
        let id = Uuid([7; 16]);
        for metadata in ["", "a note", " \n\"-\" none ", "é"] {
            for (topic_id, expiry) in [(id, None), (Uuid::ZERO, Some(99))] {
                let bookmark = Bookmark::new(42, 3, 1000, topic_id, metadata.into(), expiry);
                assert_eq!(read(&text(Some(&bookmark))), Some(Origin::At(bookmark)));
            }
        }
        assert_eq!(read(&text(None)), Some(Origin::Nowhere));
        assert_eq!(read(UNKNOWN), Some(Origin::Unknown));
    }

    #[test]
    fn what_is_not_understood_is_not_guessed_at() {
        for text in [
            "",
            "42",
            "42 3 1000 - -",
            "x 3 1000 - - ",
            "42 3 1000 id - ",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
