//! A configuration key: its name, type, default, bounds, words of explanation and where it applies.
//!
//! Keys are constants built by `const fn`s, so that a table of them reads like a list. This file must not know any key
//! by name.

use crate::error::ConfigError;
use crate::value::Value;

/// Kafka's configuration types (without `CLASS`, since nothing here loads code by its name).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// 16 bits.
    Short,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// Floating point.
    Double,
    /// Text.
    String,
    /// Texts separated by commas.
    List,
    /// Text that is never shown.
    Password,
}

impl Type {
    /// The number DescribeConfigs has for the type (`ConfigType` of KIP-569).
    pub const fn code(self) -> i8 {
        match self {
            Self::Bool => 1,
            Self::String => 2,
            Self::Int => 3,
            Self::Short => 4,
            Self::Long => 5,
            Self::Double => 6,
            Self::List => 7,
            Self::Password => 9,
        }
    }

    /// The word for the type in the reference.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Short => "short",
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::String => "string",
            Self::List => "list",
            Self::Password => "password",
        }
    }
}

/// What a key is set on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The broker.
    Broker,
    /// One topic.
    Topic,
    /// One group.
    Group,
    /// One subscription to metrics that clients push (KIP-714).
    ClientMetrics,
}

impl Scope {
    /// The scope in a sentence.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Topic => "topic",
            Self::Group => "group",
            Self::ClientMetrics => "client metrics",
        }
    }
}

/// Whether a key does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what it says.
    Used,
    /// It is taken, checked and shown, so that files and tools carry over, and changes nothing: the text says why.
    Accepted(&'static str),
}

/// What a value must fulfil beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Check {
    /// Nothing.
    Any,
    /// `least..`
    AtLeast(i64),
    /// `least..=most`
    Between(i64, i64),
    /// `least..=most`, or one value outside of it.
    BetweenOr(i64, i64, i64),
    /// `least..=most` for a double.
    Ratio(f64, f64),
    /// One of these; for a list, each item.
    OneOf(&'static [&'static str]),
    /// A list or text of at least one character.
    NotEmpty,
}

impl Check {
    /// What is allowed, in words; empty where everything is.
    pub fn words(&self) -> String {
        match self {
            Self::Any => String::new(),
            Self::AtLeast(least) => format!("at least {least}"),
            Self::Between(least, most) => format!("{least} to {most}"),
            Self::BetweenOr(least, most, or) => format!("{least} to {most}, or {or}"),
            Self::Ratio(least, most) => format!("{least} to {most}"),
            Self::OneOf(choices) => choices.join(", "),
            Self::NotEmpty => "not empty".into(),
        }
    }

    fn admits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::AtLeast(least), Value::Integer(number)) => number >= least,
            (Self::Between(least, most), Value::Integer(number)) => {
                (least..=most).contains(&number)
            }
            (Self::BetweenOr(least, most, or), Value::Integer(number)) => {
                (least..=most).contains(&number) || number == or
            }
            (Self::Ratio(least, most), Value::Double(number)) => (least..=most).contains(&number),
            (Self::OneOf(choices), Value::Text(text)) => choices.contains(&text.as_str()),
            (Self::OneOf(choices), Value::List(items)) => {
                items.iter().all(|item| choices.contains(&item.as_str()))
            }
            (Self::NotEmpty, Value::Text(text)) => !text.is_empty(),
            (Self::NotEmpty, Value::List(items)) => {
                !items.is_empty() && items.iter().all(|item| !item.is_empty())
            }
            _ => true,
        }
    }
}

/// A broker key that stands in for another: the same thing in a coarser unit, or a topic's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// The broker key's name.
    pub name: &'static str,
    /// How many of the key's own units one of this key's units is (60000 for minutes in place of milliseconds).
    pub factor: i64,
}

/// One configuration key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    /// The name, as in a properties file.
    pub name: &'static str,
    /// The type of its values.
    pub ty: Type,
    /// The text of the default; `None` if there is none (Kafka's `null`).
    pub default: Option<&'static str>,
    /// Kafka's default, where ours differs.
    pub kafka_default: Option<&'static str>,
    /// What values are allowed.
    pub check: Check,
    /// What it is for, in one or a few sentences.
    pub doc: &'static str,
    /// What it is set on.
    pub scope: Scope,
    /// Whether it does anything.
    pub effect: Effect,
    /// Whether a running broker takes a new value (topic and group keys always do).
    pub dynamic: bool,
    /// Whether Kafka has it too.
    pub ours: bool,
    /// Where the value comes from when the key itself is not set, the nearest first.
    pub stands: &'static [Stand],
}

impl Key {
    const fn new(name: &'static str, ty: Type, default: Option<&'static str>) -> Self {
        Self {
            name,
            ty,
            default,
            kafka_default: None,
            check: Check::Any,
            doc: "",
            scope: Scope::Broker,
            effect: Effect::Used,
            dynamic: false,
            ours: false,
            stands: &[],
        }
    }

    pub(crate) const fn bool(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::Bool, Some(default))
    }
    pub(crate) const fn short(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::Short, Some(default))
    }
    pub(crate) const fn int(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::Int, Some(default))
    }
    pub(crate) const fn long(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::Long, Some(default))
    }
    pub(crate) const fn double(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::Double, Some(default))
    }
    pub(crate) const fn string(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::String, Some(default))
    }
    pub(crate) const fn list(name: &'static str, default: &'static str) -> Self {
        Self::new(name, Type::List, Some(default))
    }
    /// A key without a default.
    pub(crate) const fn unset(name: &'static str, ty: Type) -> Self {
        Self::new(name, ty, None)
    }
    pub(crate) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }
    pub(crate) const fn at_least(mut self, least: i64) -> Self {
        self.check = Check::AtLeast(least);
        self
    }
    pub(crate) const fn between(mut self, least: i64, most: i64) -> Self {
        self.check = Check::Between(least, most);
        self
    }
    pub(crate) const fn between_or(mut self, least: i64, most: i64, or: i64) -> Self {
        self.check = Check::BetweenOr(least, most, or);
        self
    }
    pub(crate) const fn ratio(mut self, least: f64, most: f64) -> Self {
        self.check = Check::Ratio(least, most);
        self
    }
    pub(crate) const fn one_of(mut self, choices: &'static [&'static str]) -> Self {
        self.check = Check::OneOf(choices);
        self
    }
    pub(crate) const fn not_empty(mut self) -> Self {
        self.check = Check::NotEmpty;
        self
    }
    pub(crate) const fn dynamic(mut self) -> Self {
        self.dynamic = true;
        self
    }
    pub(crate) const fn ours(mut self) -> Self {
        self.ours = true;
        self
    }
    pub(crate) const fn kafka_default(mut self, default: &'static str) -> Self {
        self.kafka_default = Some(default);
        self
    }
    pub(crate) const fn accepted(mut self, why: &'static str) -> Self {
        self.effect = Effect::Accepted(why);
        self
    }
    pub(crate) const fn stands(mut self, stands: &'static [Stand]) -> Self {
        self.stands = stands;
        self
    }
    pub(crate) const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self.dynamic = self.dynamic || !matches!(scope, Scope::Broker);
        self
    }

    /// Whether the value must not be shown.
    pub const fn sensitive(&self) -> bool {
        matches!(self.ty, Type::Password)
    }

    /// Parses and checks a value for this key.
    pub fn parse(&self, text: &str) -> Result<Value, ConfigError> {
        let bad = |why: String| ConfigError::BadValue {
            name: self.name.to_owned(),
            value: if self.sensitive() {
                "(hidden)".into()
            } else {
                text.to_owned()
            },
            why,
        };
        let value = Value::parse(&self.ty, text).map_err(bad)?;
        if self.check.admits(&value) {
            return Ok(value);
        }
        Err(bad(match self.check {
            Check::OneOf(choices) if self.ty == Type::List => {
                format!("it must be a list of {}", choices.join(", "))
            }
            Check::OneOf(choices) => format!("it must be one of {}", choices.join(", ")),
            Check::NotEmpty => "it must not be empty".into(),
            check => format!("it must be {}", check.words()),
        }))
    }

    /// The default as a value.
    pub fn default_value(&self) -> Value {
        match self.default {
            None => Value::Unset,
            // A default outside its own bounds would be a mistake in the table; a test parses them all.
            Some(text) => Value::parse(&self.ty, text).unwrap_or(Value::Unset),
        }
    }
}

/// The same thing in the same unit.
pub(crate) const fn same(name: &'static str) -> Stand {
    Stand { name, factor: 1 }
}

/// The same thing in minutes, where the key is in milliseconds.
pub(crate) const fn minutes(name: &'static str) -> Stand {
    Stand {
        name,
        factor: 60_000,
    }
}

/// The same thing in hours, where the key is in milliseconds.
pub(crate) const fn hours(name: &'static str) -> Stand {
    Stand {
        name,
        factor: 3_600_000,
    }
}

/// Declares a table of keys and the struct that holds their values, from one list. The field's type must fit the key's;
/// a test resolves all defaults, so a mismatch cannot get past it.
macro_rules! key_table {
    (
        $(#[$table_doc:meta])* $table:ident; $(#[$struct_doc:meta])* $settings:ident; $scope:expr;
        $($field:ident: $ty:ty = $key:expr;)*
    ) => {
        $(#[$table_doc])*
        pub static $table: &[$crate::key::Key] = &[$($key.scope($scope)),*];

        $(#[$struct_doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs, reason = "the keys' own words are in the table and in docs/config.md")]
        pub struct $settings { $(pub $field: $ty),* }

        impl $settings {
            /// Takes the values in the table's order; each must be of its key's type.
            pub(crate) fn from_values(values: &[$crate::value::Value]) -> Result<Self, $crate::error::ConfigError> {
                let mut rest = $table.iter().zip(values);
                Ok(Self { $($field: $crate::key::next_field(&mut rest)?),* })
            }
        }
    };
}
pub(crate) use key_table;

pub(crate) fn next_field<'a, T: crate::value::FromValue>(
    rest: &mut impl Iterator<Item = (&'a Key, &'a Value)>,
) -> Result<T, ConfigError> {
    let (key, value) = rest
        .next()
        .expect("the table has one value for every field");
    T::from_value(value).ok_or_else(|| ConfigError::BadValue {
        name: key.name.to_owned(),
        value: value.to_string(),
        why: format!("it does not fit where a {} is needed", key.ty.word()),
    })
}
