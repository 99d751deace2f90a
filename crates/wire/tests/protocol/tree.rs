//! `{:?}` of a message as a tree of named fields, so that two implementations' structures can be
//! compared field by field, without their types in the way.
//!
//! Taken to be the same: newtypes and what they hold, names with and without underscores, ids in hex and in base64,
//! and structures with and without a place for unknown tagged fields.

use std::collections::BTreeMap;
use std::str::FromStr;

use catchword_wire::Uuid;

/// A value of any kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tree {
    /// Number, text, bytes, id, `None`: whatever has no parts.
    Leaf(String),
    /// `Some` of a value.
    Some(Box<Tree>),
    /// Elements of an array.
    List(Vec<Tree>),
    /// Named fields.
    Fields(BTreeMap<String, Tree>),
}

impl Tree {
    /// The same without what other languages do not tell apart: case in names, `Some`.
    pub(crate) fn plain(self) -> Tree {
        match self {
            Tree::Leaf(text) => Tree::Leaf(text),
            Tree::Some(inner) => inner.plain(),
            Tree::List(values) => Tree::List(values.into_iter().map(Tree::plain).collect()),
            Tree::Fields(fields) => {
                let plain = |(name, value): (String, Tree)| (name.to_lowercase(), value.plain());
                Tree::Fields(fields.into_iter().map(plain).collect())
            }
        }
    }

    /// Removes a field wherever it is.
    pub(crate) fn forget(&mut self, name: &str) {
        match self {
            Tree::Leaf(_) => {}
            Tree::Some(inner) => inner.forget(name),
            Tree::List(values) => values.iter_mut().for_each(|value| value.forget(name)),
            Tree::Fields(fields) => {
                fields.remove(&name.replace('_', ""));
                fields.values_mut().for_each(|value| value.forget(name));
            }
        }
    }
}

/// The tree of what `{:?}` printed.
pub(crate) fn tree(debug: &str) -> Tree {
    let mut reader = Reader { rest: debug };
    let tree = reader.value();
    assert_eq!(reader.rest, "", "the whole text is one value");
    tree
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(token) {
            Some(after) => {
                self.rest = after.trim_start();
                true
            }
            None => false,
        }
    }

    /// Values up to the closing token, separated by commas.
    fn list(&mut self, close: &str) -> Vec<Tree> {
        let mut values = Vec::new();
        while !self.eat(close) {
            values.push(self.value());
            self.eat(",");
        }
        values
    }

    fn word(&mut self) -> &'a str {
        let is_part = |c: char| c.is_alphanumeric() || "_-+.".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// What is within double quotes, escapes as they are.
    fn quoted(&mut self) -> String {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices() {
            match c {
                '"' if !escaped => {
                    let text = self.rest[..at].to_owned();
                    self.rest = &self.rest[at + 1..];
                    return text;
                }
                _ => escaped = c == '\\' && !escaped,
            }
        }
        panic!("an open quote: {}", self.rest);
    }

    fn fields(&mut self) -> Tree {
        let mut fields = BTreeMap::new();
        while !self.eat("}") {
            let name = self.word().replace('_', "");
            assert!(self.eat(":"), "a field's value: {}", self.rest);
            if name == "unknowntaggedfields" {
                assert!(
                    self.eat("{") && self.eat("}"),
                    "no unknown fields: {}",
                    self.rest
                );
            } else {
                fields.insert(name, self.value());
            }
            self.eat(",");
        }
        Tree::Fields(fields)
    }

    fn value(&mut self) -> Tree {
        if self.eat("[") {
            return Tree::List(self.list("]"));
        }
        for (quote, kind) in [("b\"", "bytes"), ("hex\"", "bytes"), ("\"", "text")] {
            if let Some(rest) = self.rest.strip_prefix(quote) {
                self.rest = rest;
                let text = self.quoted();
                let text = if quote == "b\"" { hex_of(&text) } else { text };
                return Tree::Leaf(format!("{kind} {text}"));
            }
        }
        let word = self.word();
        assert!(!word.is_empty(), "a value: {}", self.rest);
        if self.eat("{") {
            return self.fields();
        }
        if self.eat("(") {
            let mut values = self.list(")");
            assert_eq!(values.len(), 1, "a newtype holds one value");
            let inner = values.remove(0);
            return match (word, inner) {
                ("Some", inner) => Tree::Some(Box::new(inner)),
                // Records in one piece are their bytes.
                ("Records", Tree::List(mut pieces)) if pieces.len() == 1 => pieces.remove(0),
                (_, inner) => inner,
            };
        }
        Tree::Leaf(match Uuid::from_str(word) {
            Ok(id) => id.0.iter().map(|byte| format!("{byte:02x}")).collect(),
            Err(_) if word.len() == 36 => word.replace('-', ""),
            Err(_) => word.to_owned(),
        })
    }
}

/// The bytes of a `b"..."` in hex.
fn hex_of(escaped: &str) -> String {
    let mut hex = String::new();
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        let byte = match c {
            '\\' => match chars.next().unwrap() {
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                '0' => 0,
                'x' => {
                    hex.extend([chars.next().unwrap(), chars.next().unwrap()]);
                    continue;
                }
                other => other as u8,
            },
            plain => plain as u8,
        };
        hex += &format!("{byte:02x}");
    }
    hex
}

#[test]
fn different_types_of_the_same_shape_are_the_same_tree() {
    let ours = r#"Request { type_: "a\"b", id: AAAAAAAAAAAAAAAAAAAAAQ, list: [P { n: -1 }], r: Some(Records([Bytes(b"\x01")])), none: None }"#;
    let theirs = r#"Request { _type: Name("a\"b"), id: 00000000-0000-0000-0000-000000000001, list: [P { n: Id(-1), unknown_tagged_fields: {} }], r: Some(b"\x01"), none: None }"#;
    assert_eq!(tree(ours), tree(theirs));
    assert_ne!(tree(ours), tree(&theirs.replace("-1", "-2")));
    assert_eq!(tree(r#"b"\x01\n\\\"a""#), tree("hex\"010a5c2261\""));
    assert_ne!(tree(ours), tree(&theirs.replace("none: None", "nil: None")));
}
