//! Bytes as text: keys and values of records, for people and for JSON.

use serde::{Serialize, Serializer};

/// Bytes for people: as text where they are, else as `\xNN`; cut at `most` characters; control characters shown.
pub(super) fn excerpt(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == most {
            shown.push('…');
            break;
        }
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// Bytes in JSON: a text if they are UTF-8, else an object with their base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Blob<'a>(pub(super) &'a [u8]);

#[derive(Serialize)]
struct Base64 {
    base64: String,
}

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Base64 {
                base64: base64(self.0),
            }
            .serialize(serializer),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= chunk.len() {
                char::from(DIGITS[value])
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_base64() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn json_has_text_where_it_is_text() {
        let json = |bytes: &[u8]| serde_json::to_string(&Blob(bytes)).unwrap();
        assert_eq!(json("é\"".as_bytes()), "\"é\\\"\"");
        assert_eq!(json(&[0xff, 0x00]), "{\"base64\":\"/wA=\"}");
    }

    #[test]
    fn an_excerpt_stays_on_its_line() {
        assert_eq!(excerpt(b"a\tb\nc", 9), "a b\\nc");
        assert_eq!(excerpt("ééééé".as_bytes(), 3), "ééé…");
    }
}
