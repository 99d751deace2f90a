//! ApiVersions (18): which APIs are spoken here, and at which versions.

use catchword_wire::ErrorCode;
use catchword_wire::api::ApiKey;
use catchword_wire::frame;
use catchword_wire::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use catchword_wire::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::broker::Broker;
use crate::dispatch::{Answer, Call, Refused};
use crate::features;
use crate::outcome::Outcome;
use crate::zookeeper;

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
    let finalized = call.broker.catalog.features();
    Outcome::Now(ApiVersionsResponse {
        api_keys: spoken(zookeeper::serves_old_requests(&call.broker)),
        supported_features: features::FEATURES
            .iter()
            // Older clients do not take a lowest level of 0 (KAFKA-17011).
            .filter(|feature| call.version >= 4 || feature.min > 0)
            .map(|feature| SupportedFeatureKey {
                name: feature.name.into(),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect(),
        finalized_features_epoch: finalized.epoch,
        finalized_features: finalized
            .levels
            .iter()
            .filter(|(_, level)| *level > 0)
            .map(|(feature, level)| FinalizedFeatureKey {
                name: feature.name.into(),
                max_version_level: *level,
                min_version_level: *level,
            })
            .collect(),
        ..ApiVersionsResponse::default()
    })
}

/// A version of ApiVersions that is not spoken is still answered, at version 0, so that a newer client can find one
/// that is (KIP-511).
pub(crate) fn unsupported(broker: &Broker, correlation_id: i32) -> Result<Answer, Refused> {
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: spoken(zookeeper::serves_old_requests(broker)),
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
///
/// With ZooKeeper the versions of its time that are about offsets are spoken as well.
fn spoken(with_zookeeper: bool) -> Vec<ApiVersion> {
    let version = |key: &ApiKey| {
        let (min_version, max_version) = key.info().versions;
        let min_version = match key {
            ApiKey::Produce => 0,
            ApiKey::OffsetCommit | ApiKey::OffsetFetch if with_zookeeper => 0,
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
            spoken(false)
                .into_iter()
                .find(|v| v.api_key == key.code())
                .map(|v| (v.min_version, v.max_version))
        };
        assert_eq!(range(ApiKey::Produce), Some((0, 13)));
        assert_eq!(range(ApiKey::Fetch), Some(ApiKey::Fetch.info().versions));
    }

    #[test]
    fn versions_of_zookeepers_time_are_named_only_where_they_are_spoken() {
        let lowest = |with_zookeeper, key: ApiKey| {
            let mut spoken = spoken(with_zookeeper).into_iter();
            spoken
                .find(|v| v.api_key == key.code())
                .map(|v| v.min_version)
        };
        for (key, without) in [(ApiKey::OffsetCommit, 2), (ApiKey::OffsetFetch, 1)] {
            assert_eq!(lowest(true, key), Some(0));
            assert_eq!(lowest(false, key), Some(without));
        }
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
