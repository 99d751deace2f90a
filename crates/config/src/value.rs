//! Values: a key's text turned into something typed, and back into Kafka's text for it.
//!
//! Parsing follows Kafka: white space around a value does not count, `true` and `false` in any case, a list is
//! separated by commas. This file must not know which keys there are.

use std::fmt;

use crate::key::Type;

/// A value of one of Kafka's configuration types. Integers of 16 and 32 bits are kept in 64; their bounds are checked
/// when they are parsed.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not set, and there is no default: what Kafka calls `null`.
    Unset,
    /// A boolean.
    Bool(bool),
    /// A `short`, `int` or `long`.
    Integer(i64),
    /// A `double`.
    Double(f64),
    /// A string, one of a choice, or a password.
    Text(String),
    /// A list of strings.
    List(Vec<String>),
}

impl Value {
    /// Parses `text` as a value of type `ty`; the error says what is wrong with it.
    pub fn parse(ty: &Type, text: &str) -> Result<Self, String> {
        let text = text.trim();
        match ty {
            Type::Bool => match text.to_ascii_lowercase().as_str() {
                "true" => Ok(Self::Bool(true)),
                "false" => Ok(Self::Bool(false)),
                _ => Err("it must be true or false".into()),
            },
            Type::Short => integer(text, i64::from(i16::MIN), i64::from(i16::MAX)),
            Type::Int => integer(text, i64::from(i32::MIN), i64::from(i32::MAX)),
            Type::Long => integer(text, i64::MIN, i64::MAX),
            Type::Double => text
                .parse::<f64>()
                .ok()
                .filter(|number| !number.is_nan())
                .map(Self::Double)
                .ok_or_else(|| "it must be a number".into()),
            Type::String | Type::Password => Ok(Self::Text(text.to_owned())),
            Type::List if text.is_empty() => Ok(Self::List(Vec::new())),
            Type::List => Ok(Self::List(list(text))),
        }
    }

    /// Kafka's text for the value, as DescribeConfigs gives it; `None` where it is not set.
    pub fn render(&self) -> Option<String> {
        match self {
            Self::Unset => None,
            _ => Some(self.to_string()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset => f.write_str("(unset)"),
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            // Java writes the largest double so; Kafka's tools show it where a rate is not limited.
            Self::Double(value) if *value == f64::MAX => f.write_str("1.7976931348623157E308"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::Text(value) => f.write_str(value),
            Self::List(values) => f.write_str(&values.join(",")),
        }
    }
}

fn integer(text: &str, least: i64, most: i64) -> Result<Value, String> {
    match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::Integer(number)),
        Ok(_) => Err(format!("it must lie between {least} and {most}")),
        Err(_) => Err("it must be a whole number".into()),
    }
}

fn list(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for item in text.split(',').map(str::trim) {
        if !items.iter().any(|seen| seen == item) {
            items.push(item.to_owned());
        }
    }
    items
}

/// When a record counts as stored. Ours: Kafka has `flush.messages` and `flush.ms`, which say when data is synced but
/// not whether an acknowledgement waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Acknowledged after fdatasync: an acknowledged record survives a loss of power.
    Fsync,
    /// Acknowledged once the operating system has it, as Kafka does: survives the broker's death, not the machine's.
    PageCache,
}

/// Whose clock a record's timestamp is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, at the moment of the append.
    LogAppendTime,
}

/// What a field of a settings struct is made of. The value is of the key's type by the time this is called.
pub(crate) trait FromValue: Sized {
    /// The typed value, or `None` where the key's type and the field's do not go together.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl FromValue for $ty {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Integer(value) => (*value).try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}
integers!(i16, i32, i64, u16, u32, u64, usize);

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Double(value) => Some(*value),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(value) => Some(value.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<String> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::List(values) => Some(values.clone()),
            _ => None,
        }
    }
}

impl FromValue for Durability {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) if text == "fsync" => Some(Self::Fsync),
            Value::Text(text) if text == "page-cache" => Some(Self::PageCache),
            _ => None,
        }
    }
}

impl FromValue for TimestampType {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) if text == "CreateTime" => Some(Self::CreateTime),
            Value::Text(text) if text == "LogAppendTime" => Some(Self::LogAppendTime),
            _ => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Unset => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_kafka_reads_them() {
        assert_eq!(Value::parse(&Type::Bool, " TRUE "), Ok(Value::Bool(true)));
        assert_eq!(Value::parse(&Type::Int, "-1"), Ok(Value::Integer(-1)));
        assert_eq!(
            Value::parse(&Type::List, "compact, delete,compact"),
            Ok(Value::List(vec!["compact".into(), "delete".into()]))
        );
        assert_eq!(Value::parse(&Type::List, ""), Ok(Value::List(vec![])));
    }

    #[test]
    fn a_number_must_fit_its_type() {
        assert!(Value::parse(&Type::Int, "2147483648").is_err());
        assert!(Value::parse(&Type::Long, "2147483648").is_ok());
        assert!(Value::parse(&Type::Short, "40000").is_err());
        assert!(Value::parse(&Type::Int, "7d").is_err());
        assert!(Value::parse(&Type::Double, "NaN").is_err());
    }

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        assert_eq!(Value::Double(0.5).render().as_deref(), Some("0.5"));
        assert_eq!(Value::Double(1.0).render().as_deref(), Some("1.0"));
        assert_eq!(
            Value::Double(f64::MAX).render().as_deref(),
            Some("1.7976931348623157E308")
        );
    }
}
