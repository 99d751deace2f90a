//! `sasl.jaas.config`: a login module of Java's and its options, of which the name and the password are wanted.
//!
//! Pure. What module it is does not matter: the mechanism is `sasl.mechanism`'s word.

/// The value of an option in `MODULE required name="value" ... ;`, or what is wrong with the text.
pub(super) fn option(config: &str, wanted: &str) -> Result<Option<String>, &'static str> {
    let mut rest = config.trim_start();
    let mut found = None;
    while !rest.is_empty() {
        rest = rest.strip_prefix(';').unwrap_or(rest).trim_start();
        let end = rest
            .find(|c: char| c == '=' || c == ';' || c.is_whitespace())
            .unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            rest = after.trim_start();
            continue;
        };
        let (value, after) = value_of(value.trim_start())?;
        if name == wanted {
            found = Some(value);
        }
        rest = after.trim_start();
    }
    Ok(found)
}

/// A value and what follows it. In quotes, a backslash takes the next character as it is.
fn value_of(text: &str) -> Result<(String, &str), &'static str> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = text.find(|c: char| c == ';' || c.is_whitespace());
        let (value, after) = text.split_at(end.unwrap_or(text.len()));
        return Ok((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => return Ok((value, &text[at + 1..])),
            c => value.push(c),
        }
    }
    Err("a quotation mark is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAM: &str = r#"org.apache.kafka.common.security.scram.ScramLoginModule required
        username="ann" password="a \"b\" ;=c\\";"#;

    #[test]
    fn options_are_found_whatever_stands_in_them() {
        assert_eq!(option(SCRAM, "username"), Ok(Some("ann".into())));
        let password = r#"a "b" ;=c\"#;
        assert_eq!(option(SCRAM, "password"), Ok(Some(password.into())));
        assert_eq!(option(SCRAM, "tokenauth"), Ok(None));
        let bare = "PlainLoginModule required username=bob password='it is';";
        assert_eq!(option(bare, "username"), Ok(Some("bob".into())));
        assert_eq!(option(bare, "password"), Ok(Some("it is".into())));
        assert_eq!(option("", "username"), Ok(None));
        assert_eq!(option("x required ;;", "username"), Ok(None));
    }

    #[test]
    fn an_open_quotation_mark_is_an_error() {
        assert!(option("M required username=\"ann", "username").is_err());
    }
}
