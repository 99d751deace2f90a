//! What stands behind the question mark of a path, and names with percent signs in them.

use super::answer::bad;
use crate::plane::PlaneError;

/// The first value of a name in a query.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(own, _)| *own == name);
    found.next().map(|(_, value)| decoded(value))
}

pub(super) fn number(query: &str, name: &str) -> Result<Option<i64>, PlaneError> {
    let Some(text) = value(query, name) else {
        return Ok(None);
    };
    let read = text.parse().map(Some);
    read.map_err(|_| {
        bad(
            &format!("{name} is no number: {text:?}"),
            "give a whole number",
        )
    })
}

/// Text with its percent signs resolved; what is no UTF-8 then stands as a replacement character.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3);
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], byte) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (other, _) => {
                out.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_anything_in_them_are_read() {
        assert_eq!(decoded("a%2Fb%20%C3%A9"), "a/b é");
        assert_eq!(decoded("100%"), "100%");
        assert_eq!(decoded("%zz%4"), "%zz%4");
        assert_eq!(value("limit=5&time_ms=7", "time_ms").as_deref(), Some("7"));
        assert_eq!(value("limit", "limit"), None);
    }
}
