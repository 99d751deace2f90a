//! Schemas in, Rust out. Only names, types, versions and defaults carry over.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::schema::{Field, Schema, Versions};

/// `OffsetCommitRequest` to `offset_commit_request`; keywords get an underscore.
pub(crate) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let starts_word = c.is_uppercase()
            && i > 0
            && (!chars[i - 1].is_uppercase() || chars.get(i + 1).is_some_and(|n| n.is_lowercase()));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    if matches!(out.as_str(), "type" | "match") {
        out + "_"
    } else {
        out
    }
}

/// What a field holds, besides being an array or nullable.
pub(crate) enum Base<'a> {
    Scalar {
        rust: &'static str,
        method: &'static str,
    },
    Str,
    Bytes,
    Records,
    Struct(&'a str),
}

impl Base<'_> {
    fn of(kind: &str) -> Base<'_> {
        let scalar = |rust, method| Base::Scalar { rust, method };
        match kind {
            "bool" => scalar("bool", "bool"),
            "int8" => scalar("i8", "i8"),
            "int16" => scalar("i16", "i16"),
            "uint16" => scalar("u16", "u16"),
            "int32" => scalar("i32", "i32"),
            "uint32" => scalar("u32", "u32"),
            "int64" => scalar("i64", "i64"),
            "float64" => scalar("f64", "f64"),
            "uuid" => scalar("Uuid", "uuid"),
            "string" => Base::Str,
            "bytes" => Base::Bytes,
            "records" => Base::Records,
            other => Base::Struct(other),
        }
    }

    fn rust(&self) -> &str {
        match self {
            Base::Scalar { rust, .. } => rust,
            Base::Str => "Str",
            Base::Bytes => "Bytes",
            Base::Records => "Records",
            Base::Struct(name) => name,
        }
    }

    fn read(&self) -> String {
        match self {
            Base::Scalar { method, .. } => format!("d.{method}()"),
            Base::Str => "d.string(FLEX)".into(),
            Base::Bytes => "d.bytes(FLEX)".into(),
            Base::Records => unreachable!("records are always nullable here"),
            Base::Struct(name) => format!("{name}::decode(d, version)"),
        }
    }
}

pub(crate) struct Shape<'a> {
    pub(crate) base: Base<'a>,
    pub(crate) array: bool,
    pub(crate) nullable: bool,
}

impl Shape<'_> {
    pub(crate) fn of(field: &Field) -> Shape<'_> {
        let (array, base) = match field.kind.strip_prefix("[]") {
            Some(element) => (true, Base::of(element)),
            None => (false, Base::of(&field.kind)),
        };
        let nullable = !field.nullable_versions.is_empty() || matches!(base, Base::Records);
        Shape {
            base,
            array,
            nullable,
        }
    }

    fn rust(&self) -> String {
        let mut kind = self.base.rust().to_owned();
        if self.array {
            kind = format!("Vec<{kind}>");
        }
        if self.nullable {
            format!("Option<{kind}>")
        } else {
            kind
        }
    }

    /// The default as an expression.
    fn default(&self, field: &Field) -> String {
        let text = field.default.as_ref().map(|v| match v {
            serde_json::Value::String(s) => s.clone(),
            other => other.to_string(),
        });
        if self.nullable && text.as_deref() == Some("null") {
            return "None".into();
        }
        let value = match (&self.base, self.array, text.as_deref()) {
            (_, true, _) => "Vec::new()".to_owned(),
            (Base::Scalar { rust: "bool", .. }, _, t) => t.unwrap_or("false").to_lowercase(),
            (Base::Scalar { rust: "Uuid", .. }, ..) => "Uuid::ZERO".into(),
            (Base::Scalar { rust: "f64", .. }, _, t) => t.unwrap_or("0.0").to_owned(),
            (Base::Scalar { .. }, _, t) => t.unwrap_or("0").to_owned(),
            (Base::Str, _, None | Some("")) => "Str::EMPTY".into(),
            (Base::Str, _, Some(t)) => format!("Str::from({t:?})"),
            (Base::Bytes, ..) => "Bytes::new()".into(),
            (Base::Records, ..) => "Records::EMPTY".into(),
            (Base::Struct(name), ..) => format!("{name}::default()"),
        };
        if self.nullable {
            format!("Some({value})")
        } else {
            value
        }
    }
}

/// A condition on `version` that is true within `range`, given that `version` is within `all`; `None` if always.
pub(crate) fn when(range: Versions, all: Versions) -> Option<String> {
    let range = range.and(all);
    match (range.first <= all.first, range.last >= all.last) {
        _ if range.is_empty() => Some("false".into()),
        (true, true) => None,
        (true, false) => Some(format!("version <= {}", range.last)),
        (false, true) => Some(format!("version >= {}", range.first)),
        _ if range.first == range.last => Some(format!("version == {}", range.first)),
        _ => Some(format!(
            "({}..={}).contains(&version)",
            range.first, range.last
        )),
    }
}

fn guarded(condition: Option<String>, body: &str) -> String {
    match condition {
        None => format!("{body}\n"),
        Some(c) => format!("if {c} {{ {body} }}\n"),
    }
}

struct Emitter<'a> {
    schema: &'a Schema,
    all: Versions,
}

/// The whole module of one message.
pub(crate) fn message(schema: &Schema) -> String {
    let emitter = Emitter {
        schema,
        all: schema.valid_versions,
    };
    let mut structs: BTreeMap<&str, (&[Field], Versions)> = BTreeMap::new();
    for common in &schema.common_structs {
        structs.insert(&common.name, (&common.fields, common.versions));
        collect(&common.fields, &mut structs);
    }
    collect(&schema.fields, &mut structs);
    let mut body = emitter.structure(&schema.name, &schema.fields, true);
    for (name, (fields, _)) in structs {
        body += &emitter.structure(name, fields, false);
    }
    let mut uses = String::new();
    if body.contains("Bytes") {
        uses += "use bytes::Bytes;\n\n";
    }
    uses += "use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, Message};\n";
    if body.contains("Records") && body.contains("Option<Records>") {
        uses += "use crate::segment::Records;\n";
    }
    if body.contains("Str") && (body.contains(": Str") || body.contains("<Str>")) {
        uses += "use crate::str::Str;\n";
    }
    if body.contains("Uuid") {
        uses += "use crate::uuid::Uuid;\n";
    }
    format!(
        "//! `{}`, generated by `cargo xtask messages` from Kafka's schema. Do not edit.\n\n\
         #![allow(missing_docs, unused_variables, unused_mut, clippy::all)]\n\n{uses}\n{body}",
        schema.name
    )
}

pub(crate) fn collect<'a>(
    fields: &'a [Field],
    into: &mut BTreeMap<&'a str, (&'a [Field], Versions)>,
) {
    for field in fields.iter().filter(|f| !f.fields.is_empty()) {
        let name = field.kind.strip_prefix("[]").unwrap_or(&field.kind);
        into.insert(name, (&field.fields, field.versions()));
        collect(&field.fields, into);
    }
}

impl Emitter<'_> {
    /// Fields that some valid version has.
    fn live<'a>(&self, fields: &'a [Field]) -> Vec<&'a Field> {
        fields
            .iter()
            .filter(|f| !f.versions().and(self.all).is_empty())
            .collect()
    }

    fn flexible(&self) -> Versions {
        self.schema.flexible_versions
    }

    fn flex_expression(&self) -> String {
        match when(self.flexible(), self.all) {
            None => "true".into(),
            Some(c) => c,
        }
    }

    fn structure(&self, name: &str, fields: &[Field], top: bool) -> String {
        let fields = self.live(fields);
        let mut out = String::new();
        let _ = writeln!(
            out,
            "#[derive(Debug, Clone, PartialEq)]\npub struct {name} {{"
        );
        for field in &fields {
            let _ = writeln!(
                out,
                "pub {}: {},",
                snake(&field.name),
                Shape::of(field).rust()
            );
        }
        let _ = writeln!(
            out,
            "}}\n\nimpl Default for {name} {{ fn default() -> Self {{ {name} {{"
        );
        for field in &fields {
            let _ = writeln!(
                out,
                "{}: {},",
                snake(&field.name),
                Shape::of(field).default(field)
            );
        }
        out += "} } }\n\n";
        let decode = self.decode_body(&fields);
        let encode = self.encode_body(&fields);
        let throttled = fields.iter().any(|f| f.name == "ThrottleTimeMs");
        let throttle = if throttled {
            "\nfn throttle_at_least(&mut self, ms: i32) {\n\
             self.throttle_time_ms = self.throttle_time_ms.max(ms);\n}\n"
        } else {
            ""
        };
        if top {
            let _ = writeln!(
                out,
                "impl Message for {name} {{\n\
                 const NAME: &'static str = {name:?};\n\
                 const VERSIONS: (i16, i16) = ({}, {});\n\
                 const FLEXIBLE_FROM: i16 = {};\n\n\
                 fn decode(d: &mut Decoder, version: i16) -> Result<Self, DecodeError> {{\n\
                 if !({}..={}).contains(&version) {{\n\
                 return Err(DecodeError::UnsupportedVersion {{ message: Self::NAME, version }});\n}}\n{decode}}}\n\n\
                 fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {{\n\
                 if !({}..={}).contains(&version) {{\n\
                 return Err(EncodeError::UnsupportedVersion {{ message: Self::NAME, version }});\n}}\n{encode}}}\n{throttle}}}\n",
                self.all.first,
                self.all.last,
                if self.flexible().is_empty() {
                    "i16::MAX".into()
                } else {
                    self.flexible().first.to_string()
                },
                self.all.first,
                self.all.last,
                self.all.first,
                self.all.last,
            );
        } else {
            let _ = writeln!(
                out,
                "impl {name} {{\n\
                 fn decode(d: &mut Decoder, version: i16) -> Result<Self, DecodeError> {{\n{decode}}}\n\n\
                 fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {{\n{encode}}}\n}}\n",
            );
        }
        out
    }

    /// Plain fields are those that are not tagged in some versions in which they exist.
    fn plain_versions(&self, field: &Field) -> Versions {
        match field.tagged_versions {
            None => field.versions(),
            // Kafka's schemas tag a field in all its versions, or from some version on.
            Some(tagged) => Versions {
                first: field.versions().first,
                last: field.versions().last.min(tagged.first.saturating_sub(1)),
            },
        }
    }

    fn flex_of(&self, field: &Field) -> String {
        match field.flexible_versions {
            Some(v) if v.is_empty() => "false".into(),
            Some(_) => unreachable!("only RequestHeader's client id departs from its message"),
            None => "flexible".into(),
        }
    }

    fn decode_body(&self, fields: &[&Field]) -> String {
        let mut out = format!(
            "let flexible = {};\nlet mut m = Self::default();\n",
            self.flex_expression()
        );
        for field in fields {
            let versions = self.plain_versions(field).and(self.all);
            if versions.is_empty() {
                continue;
            }
            let body = format!("m.{} = {};", snake(&field.name), self.read(field, false));
            out += &guarded(when(versions, self.all), &body);
        }
        let flexible = self.flexible().and(self.all);
        if !flexible.is_empty() {
            let mut arms = String::new();
            for field in fields.iter().filter(|f| f.tag.is_some()) {
                let tagged = field
                    .tagged_versions
                    .unwrap_or(Versions::NONE)
                    .and(self.all);
                let guard = when(tagged, flexible).map_or(String::new(), |c| format!("if {c} "));
                let _ = writeln!(
                    arms,
                    "{} {guard}=> m.{} = {},",
                    field.tag.unwrap_or_default(),
                    snake(&field.name),
                    self.read(field, true)
                );
            }
            let body = if arms.is_empty() {
                "d.tagged_fields(|_, _| Ok(false))?;".to_owned()
            } else {
                format!(
                    "d.tagged_fields(|d, tag| {{ match tag {{ {arms} _ => return Ok(false), }} Ok(true) }})?;"
                )
            };
            out += &guarded(when(self.flexible(), self.all), &body);
        }
        out += "Ok(m)\n";
        out
    }

    fn read(&self, field: &Field, tagged: bool) -> String {
        let shape = Shape::of(field);
        let flex = self.flex_of(field);
        let value = match (&shape.base, shape.array, shape.nullable) {
            (base, true, nullable) => format!(
                "d.{}array({flex}, |d| {})?",
                if nullable { "nullable_" } else { "" },
                base.read()
            ),
            (Base::Str, _, true) => format!("d.nullable_string({flex})?"),
            (Base::Bytes, _, true) => format!("d.nullable_bytes({flex})?"),
            (Base::Records, ..) => format!("d.nullable_records({flex})?"),
            (Base::Struct(name), _, true) if tagged => {
                format!(
                    "match d.uvarint()? {{ 0 => None, _ => Some({name}::decode(d, version)?) }}"
                )
            }
            (Base::Struct(name), _, true) => {
                format!("d.nullable_struct(|d| {name}::decode(d, version))?")
            }
            (base, ..) => format!("{}?", base.read()),
        };
        value.replace("FLEX", &flex)
    }

    fn encode_body(&self, fields: &[&Field]) -> String {
        let mut out = format!("let flexible = {};\n", self.flex_expression());
        for field in fields {
            let versions = self.plain_versions(field).and(self.all);
            if versions.is_empty() {
                continue;
            }
            let body = self.write(field, &format!("self.{}", snake(&field.name)), false);
            out += &guarded(when(versions, self.all), &body);
        }
        let flexible = self.flexible().and(self.all);
        if !flexible.is_empty() {
            let body = self.encode_tagged(fields);
            out += &guarded(when(self.flexible(), self.all), &body);
        }
        out += "Ok(())\n";
        out
    }

    fn encode_tagged(&self, fields: &[&Field]) -> String {
        let mut tagged: Vec<&&Field> = fields.iter().filter(|f| f.tag.is_some()).collect();
        if tagged.is_empty() {
            return "e.uvarint(0);".into();
        }
        tagged.sort_by_key(|f| f.tag);
        let flexible = self.flexible().and(self.all);
        let (mut count, mut writes) = (String::new(), String::new());
        for field in tagged {
            let name = format!("self.{}", snake(&field.name));
            let versions = field
                .tagged_versions
                .unwrap_or(Versions::NONE)
                .and(self.all);
            let default = Shape::of(field).default(field);
            let differs = match default.as_str() {
                "None" => format!("{name}.is_some()"),
                "Vec::new()" | "Str::EMPTY" => format!("!{name}.is_empty()"),
                "false" => name.clone(),
                _ => format!("{name} != {default}"),
            };
            let condition = match when(versions, flexible) {
                None => differs,
                Some(c) => format!("{c} && {differs}"),
            };
            let _ = write!(
                count,
                "{}u32::from({condition})",
                if count.is_empty() { "" } else { " + " }
            );
            let _ = writeln!(
                writes,
                "if {condition} {{ e.tagged_field({}, |e| {{ {} Ok(()) }})?; }}",
                field.tag.unwrap_or_default(),
                self.write(field, &name, true)
            );
        }
        format!("e.uvarint({count});\n{writes}")
    }

    fn write(&self, field: &Field, value: &str, tagged: bool) -> String {
        let shape = Shape::of(field);
        let flex = self.flex_of(field);
        let nullable = when(field.nullable_versions, field.versions().and(self.all))
            .unwrap_or_else(|| "true".into());
        let element = match &shape.base {
            Base::Scalar { method, .. } => format!("{{ e.{method}(*v); Ok(()) }}"),
            Base::Str => format!("e.string(v, {flex})"),
            Base::Bytes => format!("e.bytes(v, {flex})"),
            Base::Records => String::new(), // never in arrays
            Base::Struct(_) => "v.encode(e, version)".into(),
        };
        match (&shape.base, shape.array, shape.nullable) {
            (_, true, true) => {
                format!(
                    "e.nullable_array({value}.as_ref(), {flex}, {nullable}, |e, v| {element})?;"
                )
            }
            (_, true, false) => format!("e.array(&{value}, {flex}, |e, v| {element})?;"),
            (Base::Str, _, true) => {
                format!("e.nullable_string({value}.as_ref(), {flex}, {nullable})?;")
            }
            (Base::Bytes, _, true) => {
                format!("e.nullable_bytes({value}.as_ref(), {flex}, {nullable})?;")
            }
            (Base::Records, ..) => format!("e.nullable_records({value}.as_ref(), {flex})?;"),
            (Base::Str, ..) => format!("e.string(&{value}, {flex})?;"),
            (Base::Bytes, ..) => format!("e.bytes(&{value}, {flex})?;"),
            (Base::Struct(_), _, true) if tagged => {
                format!(
                    "match &{value} {{ None => e.uvarint(0), Some(v) => {{ e.uvarint(1); v.encode(e, version)?; }} }}"
                )
            }
            (Base::Struct(_), _, true) => {
                format!("e.nullable_struct({value}.as_ref(), |e, v| v.encode(e, version))?;")
            }
            (Base::Struct(_), ..) => format!("{value}.encode(e, version)?;"),
            (Base::Scalar { method, .. }, ..) => format!("e.{method}({value});"),
        }
    }
}

/// `api.rs`: keys, names and versions.
pub(crate) fn api_table(apis: &[(&Schema, &Schema)]) -> String {
    let mut sorted: Vec<_> = apis.to_vec();
    sorted.sort_by_key(|(request, _)| request.api_key);
    let mut variants = String::new();
    let (mut infos, mut all, mut from, mut impls): (String, String, String, String) =
        Default::default();
    for (request, response) in sorted {
        let name = request.name.trim_end_matches("Request");
        let key = request.api_key.unwrap();
        let (first, last) = (request.valid_versions.first, request.valid_versions.last);
        let stable = if request.latest_version_unstable {
            last - 1
        } else {
            last
        };
        let flexible = |s: &Schema| {
            if s.flexible_versions.is_empty() {
                "i16::MAX".into()
            } else {
                s.flexible_versions.first.to_string()
            }
        };
        let _ = writeln!(
            variants,
            "/// `{name}`, versions {first} to {stable}.\n{name} = {key},"
        );
        let _ = writeln!(
            infos,
            "ApiKey::{name} => ApiInfo {{ name: {name:?}, versions: ({first}, {stable}), flexible_from: {} }},",
            flexible(request)
        );
        let _ = write!(all, "ApiKey::{name}, ");
        let _ = writeln!(from, "{key} => ApiKey::{name},");
        let _ = writeln!(
            impls,
            "impl Request for messages::{} {{ const KEY: ApiKey = ApiKey::{name}; type Response = messages::{}; }}",
            request.name, response.name
        );
    }
    format!(
        "//! The APIs: their keys, names and versions; generated by `cargo xtask messages`. Do not edit.\n\n\
         use crate::codec::Message;\nuse crate::messages;\n\n\
         /// An API that is spoken here.\n\
         #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]\n#[repr(i16)]\n\
         pub enum ApiKey {{ {variants} }}\n\n\
         /// What is fixed about an API.\n#[derive(Debug, Clone, Copy)]\npub struct ApiInfo {{\n\
         /// Kafka's name.\npub name: &'static str,\n\
         /// Lowest and highest stable version of Kafka 4.3.\npub versions: (i16, i16),\n\
         /// First version with flexible headers; `i16::MAX` if none.\npub flexible_from: i16,\n}}\n\n\
         /// A request and the response that answers it.\npub trait Request: Message {{\n\
         /// The API.\nconst KEY: ApiKey;\n/// What answers it.\ntype Response: Message;\n}}\n\n\
         impl ApiKey {{\n/// All of them, by key.\npub const ALL: &'static [ApiKey] = &[{all}];\n\n\
         /// The API with this key, if it is spoken here.\n\
         pub fn from_code(code: i16) -> Option<ApiKey> {{ Some(match code {{ {from} _ => return None, }}) }}\n\n\
         /// The key on the wire.\npub fn code(self) -> i16 {{ self as i16 }}\n\n\
         /// What is fixed about it.\npub fn info(self) -> ApiInfo {{ match self {{ {infos} }} }}\n}}\n\n{impls}"
    )
}
