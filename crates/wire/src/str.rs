//! `Str`: text that shares the buffer it was read from.
//!
//! Invariant: the bytes are always valid UTF-8; every constructor checks or converts.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

/// Immutable UTF-8 text over shared [`Bytes`]: cloning it never copies the text.
///
/// A `Str` that was decoded from a frame keeps that whole frame alive. Whatever outlives a request should hold
/// [`Str::detached`] text instead.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Str(Bytes);

impl Str {
    /// The empty text.
    pub const EMPTY: Str = Str(Bytes::new());

    /// Takes bytes as text; malformed UTF-8 is replaced by U+FFFD, as Kafka's own decoder does.
    pub fn from_lossy(bytes: Bytes) -> Str {
        match std::str::from_utf8(&bytes) {
            Ok(_) => Str(bytes),
            Err(_) => Str(Bytes::from(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }

    /// Copies text into a buffer of its own.
    pub fn copy(text: &str) -> Str {
        Str(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// The same text in a buffer of its own, so that it keeps no frame alive.
    pub fn detached(&self) -> Str {
        Str(Bytes::copy_from_slice(&self.0))
    }

    /// The text.
    #[allow(unsafe_code)]
    pub fn as_str(&self) -> &str {
        // SAFETY: `Str(..)` is built only in this file, by constructors that were given `&str`, `String`, or bytes
        // that passed `str::from_utf8`; `Bytes` is immutable, so the bytes are still what was checked.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The text's bytes, shared.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

// `str` and `Str` order, compare and hash alike: byte-wise order of UTF-8 is code point order.
impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl std::hash::Hash for Str {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&'static str> for Str {
    fn from(text: &'static str) -> Str {
        Str(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Str {
    fn from(text: String) -> Str {
        Str(Bytes::from(text))
    }
}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}
