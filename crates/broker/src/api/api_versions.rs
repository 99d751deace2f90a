//! ApiVersions (18): which APIs are spoken here, and at which versions.

use catchword_wire::ErrorCode;
use catchword_wire::api::ApiKey;
use catchword_wire::frame;
use catchword_wire::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use catchword_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::dispatch::{Answer, Call, Refused};
use crate::outcome::Outcome;

/// The feature by which clients know that the groups of KIP-848 are served. Its level 0 is none of them; who speaks less
/// than version 4 cannot read a 0 (KAFKA-17492).
const GROUP_VERSION: &str = "group.version";

pub(crate) fn handle(call: &Call, request: ApiVersionsRequest) -> Outcome<ApiVersionsResponse> {
    if call.version >= 3 {
        let software = (
            &request.client_software_name,
            &request.client_software_version,
        );
        if !is_software_word(software.0) || !is_software_word(software.1) {
            let error_code = ErrorCode::InvalidRequest.code();
            return Outcome::Now(ApiVersionsResponse {
                error_code,
                ..Default::default()
            });
        }
        let _ = call
            .client
            .software
            .set((software.0.detached(), software.1.detached()));
    }
    Outcome::Now(ApiVersionsResponse {
        api_keys: spoken(),
        supported_features: vec![SupportedFeatureKey {
            name: GROUP_VERSION.into(),
            min_version: if call.version >= 4 { 0 } else { 1 },
            max_version: 1,
        }],
        finalized_features_epoch: 0,
        finalized_features: vec![FinalizedFeatureKey {
            name: GROUP_VERSION.into(),
            min_version_level: 1,
            max_version_level: 1,
        }],
        ..ApiVersionsResponse::default()
    })
}

/// A version of ApiVersions that is not spoken is still answered, at version 0, so that a newer client can find one
/// that is (KIP-511).
pub(crate) fn unsupported(correlation_id: i32) -> Result<Answer, Refused> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: spoken(),
        ..ApiVersionsResponse::default()
    };
    let (api, version) = (ApiKey::ApiVersions.info().name, 0);
    frame::encode_response(&response, version, correlation_id, false)
        .map(Answer::Ready)
        .map_err(|error| Refused::Answer {
            api,
            version,
            error,
        })
}

/// What is spoken, but for Produce: as Kafka does it, versions are named that are refused. Where 0 is not among them
/// librdkafka (not its newest) takes it that the broker cannot compress, and sends batches uncompressed without a word
/// (KAFKA-18659). Clients take the highest version that both have, so none is misled.
fn spoken() -> Vec<ApiVersion> {
    let version = |key: &ApiKey| {
        let (min_version, max_version) = key.info().versions;
        let min_version = match key {
            ApiKey::Produce => 0,
            _ => min_version,
        };
        ApiVersion {
            api_key: key.code(),
            min_version,
            max_version,
        }
    };
    ApiKey::ALL.iter().map(version).collect()
}

/// Kafka's pattern for a client's name and version: `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`.
fn is_software_word(word: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    edge(word.bytes().next())
        && edge(word.bytes().last())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn produce_is_named_from_version_0_for_the_sake_of_librdkafka() {
        let range = |key: ApiKey| {
            spoken()
                .into_iter()
                .find(|v| v.api_key == key.code())
                .map(|v| (v.min_version, v.max_version))
        };
        assert_eq!(range(ApiKey::Produce), Some((0, 13)));
        assert_eq!(range(ApiKey::Fetch), Some(ApiKey::Fetch.info().versions));
    }

    #[test]
    fn names_of_software_follow_kafkas_pattern() {
        for good in ["librdkafka", "apache-kafka-java", "4.3.1", "a"] {
            assert!(is_software_word(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_word(bad), "{bad}");
        }
    }
}
