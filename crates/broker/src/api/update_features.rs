//! UpdateFeatures (57): levels of features raised or lowered, all or none.

use catchword_wire::messages::update_features_request::FeatureUpdateKey;
use catchword_wire::messages::update_features_response::UpdatableFeatureResult;
use catchword_wire::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};
use catchword_wire::{ErrorCode, Str};

use crate::dispatch::Call;
use crate::features::{self, Way};
use crate::outcome::{Outcome, blocking};

pub(crate) fn handle(
    call: &Call,
    request: UpdateFeaturesRequest,
) -> Outcome<UpdateFeaturesResponse> {
    let version = call.version;
    let now = call.broker.catalog.features();
    let way = |update: &FeatureUpdateKey| match update.upgrade_type {
        _ if version == 0 && update.allow_downgrade => Way::Down,
        _ if version == 0 => Way::Up,
        1 => Way::Up,
        2 | 3 => Way::Down,
        _ => Way::Unknown,
    };
    for update in &request.feature_updates {
        let (name, level) = (&update.feature, update.max_version_level);
        if let Err((code, why)) = features::check(&now.levels, name, level, way(update)) {
            let why = format!(
                "The update failed for all features since the following feature had an error: {why}"
            );
            return Outcome::Now(failed(code, why));
        }
    }
    let broker = call.broker.clone();
    Outcome::later(async move {
        let results = request
            .feature_updates
            .iter()
            .map(|update| UpdatableFeatureResult {
                feature: update.feature.clone(),
                ..UpdatableFeatureResult::default()
            });
        let response = UpdateFeaturesResponse {
            results: results.collect(),
            ..UpdateFeaturesResponse::default()
        };
        if request.validate_only {
            return response;
        }
        let set = move || {
            let levels = request.feature_updates.iter();
            let levels: Vec<_> = levels
                .map(|u| (u.feature.as_str(), u.max_version_level))
                .collect();
            broker.catalog.set_features(&levels)
        };
        match blocking(set).await {
            Some(Ok(())) => response,
            Some(Err(error)) => failed(ErrorCode::KafkaStorageError, error.to_string()),
            None => failed(
                ErrorCode::UnknownServerError,
                "the change was cut off".into(),
            ),
        }
    })
}

fn failed(code: ErrorCode, why: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse {
        error_code: code.code(),
        error_message: Some(Str::from(why)),
        ..UpdateFeaturesResponse::default()
    }
}
