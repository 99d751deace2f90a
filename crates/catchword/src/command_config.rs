//! `--command-config FILE`: how to reach a cluster that wants TLS, or to know who asks, in the words of Kafka's own tools.

use std::path::Path;

use catchword_client::{ClientOptions, Security};
use catchword_config::properties;

use crate::failure::Failure;

/// Options for the brokers at `bootstrap`, secured as the file says if there is one.
pub(crate) fn options(bootstrap: &str, file: Option<&Path>) -> Result<ClientOptions, Failure> {
    let security = file.map(read).transpose()?;
    Ok(ClientOptions {
        security: security.unwrap_or_default(),
        ..ClientOptions::to(bootstrap)
    })
}

fn read(file: &Path) -> Result<Security, Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
    let found = properties::parse(&text)
        .map_err(|(line, why)| Failure::Usage(format!("{}, line {line}: {why}", file.display())))?;
    let pairs = found.into_iter().map(|entry| (entry.key, entry.value));
    Security::from_properties(&pairs.collect())
        .map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}
