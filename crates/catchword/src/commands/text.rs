//! Bytes as text: keys and values of records, for people and for JSON.

use serde::{Serialize, Serializer};

/// Bytes for people, on one line of at most `most` characters: what is not UTF-8 as `�`, control characters escaped.
pub(super) fn excerpt(bytes: &[u8], most: usize) -> String {
    let mut shown = String::new();
    let mut width = 0;
    for c in String::from_utf8_lossy(bytes).chars() {
        let (piece, columns) = match c {
            '\t' => (' '.to_string(), 1),
            c if c.is_control() => {
                let escaped = c.escape_default().to_string();
                let columns = escaped.len();
                (escaped, columns)
            }
            c => (c.to_string(), 1),
        };
        if width + columns > most {
            shown.push('…');
            break;
        }
        shown.push_str(&piece);
        width += columns;
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
        // What the escapes take counts as well, so binary data does not run over many lines.
        assert_eq!(excerpt(&[0, 1, 2, 0xff], 11), "\\u{0}\\u{1}…");
        assert_eq!(excerpt(&[0xff, b'a'], 2), "�a");
    }
}
