//! AlterClientQuotas (49): quotas set and taken back (KIP-546).

use std::collections::BTreeSet;
use std::net::IpAddr;

use catchword_wire::messages::alter_client_quotas_request::EntryData;
use catchword_wire::messages::alter_client_quotas_response as answer;
use catchword_wire::messages::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use catchword_wire::records::ClientQuotaRecord;
use catchword_wire::records::client_quota_record::EntityData;
use catchword_wire::{ErrorCode, Str};

use crate::broker::Broker;
use crate::dispatch::Call;
use crate::outcome::{Outcome, blocking};
use crate::quota::Entity;

pub(crate) fn handle(
    call: &Call,
    request: AlterClientQuotasRequest,
) -> Outcome<AlterClientQuotasResponse> {
    let broker = call.broker.clone();
    Outcome::later(async move {
        AlterClientQuotasResponse {
            entries: blocking(move || alter(&broker, request))
                .await
                .unwrap_or_default(),
            ..AlterClientQuotasResponse::default()
        }
    })
}

fn alter(broker: &Broker, request: AlterClientQuotasRequest) -> Vec<answer::EntryData> {
    let mut results: Vec<Result<(), (ErrorCode, String)>> = Vec::new();
    let done = broker.catalog.alter_quotas(|now| {
        let mut records = Vec::new();
        let mut seen = BTreeSet::new();
        for entry in &request.entries {
            let checked = check(entry).and_then(|entity| match seen.insert(entity.clone()) {
                true => Ok(entity),
                false => invalid("Ignoring duplicate entity"),
            });
            if let Ok(entity) = &checked {
                records.extend(changes(entry, now.get(entity)));
            }
            results.push(checked.map(drop));
        }
        if request.validate_only {
            Vec::new()
        } else {
            records
        }
    });
    if let Err(error) = done {
        let why = error.to_string();
        results = vec![Err((ErrorCode::KafkaStorageError, why)); request.entries.len()];
    } else {
        broker.quotas.set(broker.catalog.quotas());
    }
    let entries = request.entries.into_iter().zip(results);
    entries
        .map(|(entry, result)| told(entry, result.err()))
        .collect()
}

fn told(entry: EntryData, error: Option<(ErrorCode, String)>) -> answer::EntryData {
    let entity =
        |e: catchword_wire::messages::alter_client_quotas_request::EntityData| answer::EntityData {
            entity_type: e.entity_type,
            entity_name: e.entity_name,
        };
    answer::EntryData {
        error_code: error.as_ref().map_or(0, |(code, _)| code.code()),
        error_message: error.map(|(_, why)| Str::from(why)),
        entity: entry.entity.into_iter().map(entity).collect(),
    }
}

/// The records that change something.
fn changes<'a>(
    entry: &'a EntryData,
    now: Option<&'a std::collections::BTreeMap<String, f64>>,
) -> impl Iterator<Item = ClientQuotaRecord> + 'a {
    entry.ops.iter().filter_map(move |op| {
        let current = now.and_then(|of| of.get(op.key.as_str()));
        let same = if op.remove {
            current.is_none()
        } else {
            current == Some(&op.value)
        };
        let entity = entry.entity.iter().map(|e| EntityData {
            entity_type: e.entity_type.clone(),
            entity_name: e.entity_name.clone(),
        });
        (!same).then(|| ClientQuotaRecord {
            entity: entity.collect(),
            key: op.key.clone(),
            value: if op.remove { 0.0 } else { op.value },
            remove: op.remove,
        })
    })
}

fn invalid<T>(why: impl Into<String>) -> Result<T, (ErrorCode, String)> {
    Err((ErrorCode::InvalidRequest, why.into()))
}

fn check(entry: &EntryData) -> Result<Entity, (ErrorCode, String)> {
    let mut entity = Entity::new();
    for part in &entry.entity {
        let (of, name) = (part.entity_type.to_string(), part.entity_name.as_ref());
        if !matches!(of.as_str(), "user" | "client-id" | "ip") {
            return invalid(format!("Unhandled client quota entity type: {of}"));
        }
        if name.is_some_and(|name| name.is_empty()) {
            return invalid(format!("Empty {of} not supported"));
        }
        if entity
            .insert(of.clone(), name.map(ToString::to_string))
            .is_some()
        {
            return invalid(format!(
                "Invalid client quota entity, duplicate entity entry {of}"
            ));
        }
    }
    if entity.is_empty() {
        return invalid("Invalid empty client quota entity");
    }
    let ip = entity.get("ip");
    if ip.is_some() && entity.len() > 1 {
        return invalid(
            "Invalid quota entity combination, an ip is not combined with a user or a client-id",
        );
    }
    if let Some(Some(ip)) = ip
        && ip.parse::<IpAddr>().is_err()
    {
        return invalid(format!("{ip} is not a valid IP."));
    }
    let mut keys = BTreeSet::new();
    for op in &entry.ops {
        if !keys.insert(op.key.as_str()) {
            return invalid(format!("Duplicate quota key {}", op.key));
        }
        if !op.remove {
            check_value(&op.key, op.value, ip.is_some())?;
        }
    }
    Ok(entity)
}

fn check_value(key: &str, value: f64, of_ip: bool) -> Result<(), (ErrorCode, String)> {
    let most = match (key, of_ip) {
        ("connection_creation_rate", true) => Some(f64::from(i32::MAX)),
        ("producer_byte_rate" | "consumer_byte_rate", false) => Some(i64::MAX as f64),
        ("request_percentage" | "controller_mutation_rate", false) => None,
        _ => return invalid(format!("Invalid configuration key {key}")),
    };
    if value.is_nan() || value <= 0.0 {
        return invalid(format!("Quota {key} must be greater than 0"));
    }
    match most {
        Some(most) if value > most => invalid(format!("Proposed value for {key} is too large.")),
        Some(_) if value.fract() > 1e-6 => invalid(format!("{key} cannot be a fractional value.")),
        _ => Ok(()),
    }
}
