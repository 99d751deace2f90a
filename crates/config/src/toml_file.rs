//! A TOML file of keys: dots in a key and tables mean the same, arrays are lists.
//!
//! This file must not know any key.

use toml::Value;

/// Reads a TOML file as pairs of key and text. The error is a line and what is wrong with it.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        (before.matches('\n').count() + 1, error.message().to_owned())
    })?;
    let mut pairs = Vec::new();
    for (key, value) in table {
        flatten(key, value, &mut pairs).map_err(|why| (1, why))?;
    }
    Ok(pairs)
}

fn flatten(key: String, value: Value, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                flatten(format!("{key}.{name}"), value, pairs)?;
            }
        }
        Value::Array(items) => {
            let items: Result<Vec<_>, _> =
                items.into_iter().map(|item| scalar(&key, item)).collect();
            pairs.push((key, items?.join(",")));
        }
        value => {
            let text = scalar(&key, value)?;
            pairs.push((key, text));
        }
    }
    Ok(())
}

fn scalar(key: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Boolean(value) => Ok(value.to_string()),
        _ => Err(format!(
            "{key} must be a text, a number, true, false or a list of such"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn dots_and_tables_mean_the_same() {
        let text = "num.partitions = 3\nlisteners = [\"a:1\", \"b:2\"]\n[offsets.retention]\nminutes = 60\n";
        let mut read = parse(text).unwrap();
        read.sort();
        let expected = [
            pair("listeners", "a:1,b:2"),
            pair("num.partitions", "3"),
            pair("offsets.retention.minutes", "60"),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn a_mistake_is_found_on_its_line() {
        assert_eq!(parse("a = 1\nb = \n").unwrap_err().0, 2);
        assert!(parse("a = 1979-05-27").unwrap_err().1.contains("a must be"));
    }
}
