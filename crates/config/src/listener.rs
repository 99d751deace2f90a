//! Listeners: `NAME://HOST:PORT` as in `listeners` and `advertised.listeners`.
//!
//! This file must not open a socket or ask the machine for its name.

use std::fmt;

use crate::broker_keys::BrokerSettings;
use crate::error::ConfigError;

/// An address under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// The listener's name, in capitals.
    pub name: String,
    /// A host name or an address without brackets; empty for all interfaces.
    pub host: String,
    /// The port; 0 for any free one.
    pub port: u16,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "{}://[{}]:{}", self.name, self.host, self.port)
        } else {
            write!(f, "{}://{}:{}", self.name, self.host, self.port)
        }
    }
}

impl Listener {
    /// Whether it stands for all interfaces.
    pub fn is_wildcard(&self) -> bool {
        matches!(self.host.as_str(), "" | "0.0.0.0" | "::")
    }

    /// Reads `NAME://HOST:PORT`, or `HOST:PORT`, which is PLAINTEXT. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, address) = text.split_once("://").unwrap_or(("PLAINTEXT", text));
        let name = name.to_ascii_uppercase();
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        {
            return Err("a listener's name is made of letters, digits, - and _".into());
        }
        let (host, port) = address
            .rsplit_once(':')
            .ok_or("a listener is NAME://HOST:PORT, for example PLAINTEXT://127.0.0.1:9092")?;
        let port = port
            .parse()
            .map_err(|_| format!("{port:?} is not a port (0 to 65535)"))?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .ok_or("the address lacks its closing bracket")?,
            None if host.contains(':') => {
                return Err("an IPv6 address stands in brackets: [::1]:9092".into());
            }
            None => host,
        };
        Ok(Self {
            name,
            host: host.to_owned(),
            port,
        })
    }
}

fn parse_all(key: &str, texts: &[String]) -> Result<Vec<Listener>, ConfigError> {
    let bad = |value: &str, why: String| ConfigError::BadValue {
        name: key.to_owned(),
        value: value.to_owned(),
        why,
    };
    texts
        .iter()
        .map(|text| Listener::parse(text).map_err(|why| bad(text, why)))
        .collect()
}

/// `listeners` without those of Kafka's controller, each of a protocol that is served.
pub(crate) fn resolve(settings: &BrokerSettings) -> Result<Vec<Listener>, ConfigError> {
    let mut listeners = parse_all("listeners", &settings.listeners)?;
    let controllers = &settings.controller_listener_names;
    listeners.retain(|l| {
        !controllers
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&l.name))
    });
    let bad = |value: String, why: String| {
        Err(ConfigError::BadValue {
            name: "listeners".into(),
            value,
            why,
        })
    };
    if listeners.is_empty() {
        return bad(
            settings.listeners.join(","),
            "no listener is left for clients".into(),
        );
    }
    for (at, listener) in listeners.iter().enumerate() {
        if listeners[..at]
            .iter()
            .any(|other| other.name == listener.name)
        {
            return bad(
                listener.to_string(),
                "each listener needs a name of its own".into(),
            );
        }
        let protocol = protocol(settings, &listener.name);
        match protocol.as_deref() {
            Some("PLAINTEXT") => {}
            Some(other) => {
                return bad(
                    listener.to_string(),
                    format!("{other} is not served yet, only PLAINTEXT is"),
                );
            }
            None => {
                return bad(
                    listener.to_string(),
                    "listener.security.protocol.map does not say which protocol this name is"
                        .into(),
                );
            }
        }
    }
    Ok(listeners)
}

fn is_controllers(settings: &BrokerSettings, listener: &Listener) -> bool {
    settings
        .controller_listener_names
        .iter()
        .any(|name| name.eq_ignore_ascii_case(&listener.name))
}

fn protocol(settings: &BrokerSettings, name: &str) -> Option<String> {
    settings
        .listener_security_protocol_map
        .iter()
        .find_map(|entry| {
            let (listener, protocol) = entry.split_once(':')?;
            listener
                .trim()
                .eq_ignore_ascii_case(name)
                .then(|| protocol.trim().to_ascii_uppercase())
        })
}

/// What clients are told, one for each listener.
pub(crate) fn resolve_advertised(
    settings: &BrokerSettings,
    listeners: &[Listener],
) -> Result<Vec<Listener>, ConfigError> {
    let mut said = match &settings.advertised_listeners {
        Some(texts) => parse_all("advertised.listeners", texts)?,
        None => Vec::new(),
    };
    said.retain(|listener| !is_controllers(settings, listener));
    for listener in &said {
        let why = if listener.host == "0.0.0.0" || listener.host == "::" {
            "clients cannot connect to an address that means all interfaces"
        } else if !listeners.iter().any(|l| l.name == listener.name) {
            "there is no listener of this name"
        } else {
            continue;
        };
        return Err(ConfigError::BadValue {
            name: "advertised.listeners".into(),
            value: listener.to_string(),
            why: why.into(),
        });
    }
    let advertised = listeners.iter().map(|listener| {
        let mut advertised = said
            .iter()
            .find(|l| l.name == listener.name)
            .unwrap_or(listener)
            .clone();
        if advertised.is_wildcard() {
            advertised.host.clear();
        }
        advertised
    });
    Ok(advertised.collect())
}

#[cfg(test)]
mod tests {
    use crate::broker::BrokerConfig;

    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |text| Listener::parse(text).map(|l| (l.name, l.host, l.port));
        let plain = |host: &str, port| Ok(("PLAINTEXT".to_owned(), host.to_owned(), port));
        assert_eq!(read("PLAINTEXT://127.0.0.1:9092"), plain("127.0.0.1", 9092));
        assert_eq!(read("localhost:0"), plain("localhost", 0));
        assert_eq!(read("plaintext://:9092"), plain("", 9092));
        assert_eq!(read("[::1]:9092"), plain("::1", 9092));
        assert!(read("::1:9092").is_err());
        assert!(read("localhost").is_err());
        assert!(read("localhost:99999").is_err());
        assert!(read("a b://x:1").is_err());
    }

    #[test]
    fn a_file_of_kafkas_own_loses_only_its_controller() {
        let config = BrokerConfig::from_pairs(&[
            ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
            ("controller.listener.names", "CONTROLLER"),
            ("advertised.listeners", "PLAINTEXT://kafka.example:9092"),
        ])
        .unwrap();
        assert_eq!(config.listeners.len(), 1);
        assert_eq!(
            config.advertised[0].to_string(),
            "PLAINTEXT://kafka.example:9092"
        );
    }

    #[test]
    fn names_are_mapped_to_protocols() {
        let map = "INTERNAL:PLAINTEXT,EXTERNAL:SSL";
        let with = |listeners| {
            BrokerConfig::from_pairs(&[
                ("listeners", listeners),
                ("listener.security.protocol.map", map),
            ])
        };
        assert!(with("INTERNAL://:1").is_ok());
        let refused = with("EXTERNAL://:1").unwrap_err().to_string();
        assert!(refused.contains("only PLAINTEXT"), "{refused}");
        assert!(with("OTHER://:1").is_err());
    }

    #[test]
    fn nobody_is_told_to_connect_to_all_interfaces() {
        let config = BrokerConfig::from_pairs(&[("listeners", "0.0.0.0:9092")]).unwrap();
        assert_eq!(config.advertised[0].host, "");
        assert!(BrokerConfig::from_pairs(&[("advertised.listeners", "0.0.0.0:9092")]).is_err());
    }
}
