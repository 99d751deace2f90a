//! Java's properties format, as in Kafka's `server.properties`: comments, `=`, `:` or white space after the key,
//! escapes, and lines that go on after a backslash.
//!
//! This file must not know any key.

/// One entry of a properties file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The line the entry begins on, from 1.
    pub line: usize,
}

/// Reads a properties file. The error is a line and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<Property>, (usize, String)> {
    logical_lines(text)
        .into_iter()
        .map(|(line, text)| {
            let (key, value) = split(&text);
            let unescape = |part| unescape(part).map_err(|why| (line, why));
            Ok(Property {
                key: unescape(key)?,
                value: unescape(value)?,
                line,
            })
        })
        .collect()
}

/// Lines joined where a backslash ends one, without comments and blank lines, each with its first line's number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start_matches([' ', '\t', '\x0c']);
        let (at, mut joined) = match open.take() {
            Some((at, before)) => (at, before),
            None if line.is_empty() || line.starts_with(['#', '!']) => continue,
            None => (number + 1, String::new()),
        };
        let backslashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes % 2 == 1 {
            joined.push_str(&line[..line.len() - 1]);
            open = Some((at, joined));
        } else {
            joined.push_str(line);
            lines.push((at, joined));
        }
    }
    lines.extend(open);
    lines
}

/// The key ends at the first `=`, `:` or white space that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\x0c');
        escaped = !escaped && *c == '\\';
        ends
    });
    let Some((end, _)) = end else {
        return (line, "");
    };
    let blank = [' ', '\t', '\x0c'];
    let rest = line[end..].trim_start_matches(blank);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&line[..end], rest.trim_start_matches(blank))
}

fn unescape(text: &str) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let push = |units: &mut Vec<u16>, c: char| {
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    };
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => push(&mut units, '\t'),
            ('\\', Some('n')) => push(&mut units, '\n'),
            ('\\', Some('r')) => push(&mut units, '\r'),
            ('\\', Some('f')) => push(&mut units, '\x0c'),
            ('\\', Some('u')) => {
                let digits: String = chars.by_ref().take(4).collect();
                let unit = u16::from_str_radix(&digits, 16)
                    .ok()
                    .filter(|_| digits.len() == 4);
                units.push(unit.ok_or("\\u must be followed by four hexadecimal digits")?);
            }
            ('\\', Some(other)) => push(&mut units, other),
            ('\\', None) => {}
            (c, _) => push(&mut units, c),
        }
    }
    String::from_utf16(&units).map_err(|_| "\\u escapes do not form a character".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text)
            .unwrap()
            .into_iter()
            .map(|p| (p.key, p.value))
            .collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn a_key_ends_at_equals_colon_or_blank() {
        let text = "a=1\nb : 2\nc 3\nd\n  e\t=\t5 \n";
        let read = [
            pair("a", "1"),
            pair("b", "2"),
            pair("c", "3"),
            pair("d", ""),
            pair("e", "5 "),
        ];
        assert_eq!(pairs(text), read);
    }

    #[test]
    fn comments_and_blank_lines_are_passed_over() {
        assert_eq!(
            pairs("# x\n\n  ! y\na=1 # not a comment\n"),
            [pair("a", "1 # not a comment")]
        );
    }

    #[test]
    fn a_line_goes_on_after_a_backslash() {
        let text = "listeners=PLAINTEXT://:9092,\\\n    CONTROLLER://:9093\nb=two\\\\\nc=3";
        let read = [
            pair("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            pair("b", "two\\"),
            pair("c", "3"),
        ];
        assert_eq!(pairs(text), read);
    }

    #[test]
    fn escapes_are_javas() {
        assert_eq!(
            pairs(r"a\=b\ c=\t\u00e9\ud83d\ude00\q"),
            [pair("a=b c", "\té😀q")]
        );
        assert_eq!(
            parse("ok=1\nbad=\\u12"),
            Err((2, "\\u must be followed by four hexadecimal digits".into()))
        );
    }

    #[test]
    fn the_value_keeps_later_separators() {
        assert_eq!(
            pairs("listeners=PLAINTEXT://h:1"),
            [pair("listeners", "PLAINTEXT://h:1")]
        );
    }
}
