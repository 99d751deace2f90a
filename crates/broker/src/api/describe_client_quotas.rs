//! DescribeClientQuotas (48): the quotas whose entities match a filter (KIP-546).

use catchword_wire::messages::describe_client_quotas_request::ComponentData;
use catchword_wire::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use catchword_wire::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::outcome::Outcome;
use crate::quota::Entity;

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const SPECIFIED: i8 = 2;

pub(crate) fn handle(
    call: &Call,
    request: DescribeClientQuotasRequest,
) -> Outcome<DescribeClientQuotasResponse> {
    if let Err((code, why)) = check(&request.components) {
        return Outcome::Now(DescribeClientQuotasResponse {
            error_code: code.code(),
            error_message: Some(Str::from(why)),
            entries: None,
            ..DescribeClientQuotasResponse::default()
        });
    }
    let quotas = call.broker.catalog.quotas();
    let matching = quotas
        .iter()
        .filter(|(entity, _)| matches(entity, &request.components, request.strict));
    let entry = |(entity, of): (&Entity, &std::collections::BTreeMap<String, f64>)| EntryData {
        entity: entity
            .iter()
            .map(|(of, name)| EntityData {
                entity_type: Str::copy(of),
                entity_name: name.as_deref().map(Str::copy),
            })
            .collect(),
        values: of
            .iter()
            .map(|(key, value)| ValueData {
                key: Str::copy(key),
                value: *value,
            })
            .collect(),
    };
    Outcome::Now(DescribeClientQuotasResponse {
        entries: Some(matching.map(entry).collect()),
        ..DescribeClientQuotasResponse::default()
    })
}

fn matches(entity: &Entity, components: &[ComponentData], strict: bool) -> bool {
    let all = components.iter().all(|c| {
        entity.get(c.entity_type.as_str()).is_some_and(|name| {
            c.match_type == SPECIFIED || name.as_deref() == c.match_.as_ref().map(Str::as_str)
        })
    });
    all && (!strict || entity.len() == components.len())
}

fn check(components: &[ComponentData]) -> Result<(), (ErrorCode, String)> {
    let invalid = |why: String| Err((ErrorCode::InvalidRequest, why));
    let is = |c: &ComponentData, of: &str| c.entity_type == of;
    for (n, c) in components.iter().enumerate() {
        let of = &c.entity_type;
        if of.is_empty() {
            return invalid("Invalid empty entity type.".into());
        }
        if components[..n]
            .iter()
            .any(|before| before.entity_type == *of)
        {
            return invalid(format!(
                "Entity type {of} cannot appear more than once in the filter."
            ));
        }
        if !matches!(of.as_str(), "user" | "client-id" | "ip") {
            return Err((
                ErrorCode::UnsupportedVersion,
                format!("Unsupported entity type {of}"),
            ));
        }
        match (c.match_type, &c.match_) {
            (EXACT, Some(_)) | (DEFAULT | SPECIFIED, None) => {}
            (EXACT | DEFAULT | SPECIFIED, _) => {
                return invalid("A name belongs to an exact match, and to no other.".into());
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        }
    }
    if components.iter().any(|c| is(c, "ip")) && components.len() > 1 {
        return invalid("An ip is not combined with a user or a client-id.".into());
    }
    Ok(())
}
