//! How many connections may be open, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catchword_config::BrokerConfig;

/// Counts the open connections.
#[derive(Default)]
pub(crate) struct Admission(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    open: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that was let in; dropping it gives its place to the next.
pub(crate) struct Admitted {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.counts().open
    }

    /// Lets a connection in, or says which limit keeps it out.
    pub(crate) fn admit(
        self: &Arc<Admission>,
        address: IpAddr,
        config: &BrokerConfig,
    ) -> Result<Admitted, String> {
        let mut counts = self.counts();
        let most = limit(config.max_connections);
        if counts.open >= most {
            return Err(format!("max.connections={most} are open"));
        }
        let here = counts.by_address.entry(address).or_default();
        let most_here = limit_of(address, config);
        if *here >= most_here {
            return Err(format!(
                "max.connections.per.ip allows {most_here} from this address"
            ));
        }
        *here += 1;
        counts.open += 1;
        Ok(Admitted {
            admission: self.clone(),
            address,
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        counts.open -= 1;
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

fn limit(n: i32) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// `max.connections.per.ip`, unless `max.connections.per.ip.overrides` has another number for the address.
fn limit_of(address: IpAddr, config: &BrokerConfig) -> usize {
    let own = config
        .max_connections_per_ip_overrides
        .split(',')
        .find_map(|entry| {
            let (host, count) = entry.trim().rsplit_once(':')?;
            (host.trim_matches(['[', ']']).parse() == Ok(address))
                .then(|| count.trim().parse().ok())?
        });
    own.unwrap_or_else(|| limit(config.max_connections_per_ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_limit_and_places_come_back() {
        let config = BrokerConfig::from_pairs(&[
            ("max.connections", "4"),
            ("max.connections.per.ip", "1"),
            ("max.connections.per.ip.overrides", "10.0.0.2:2, [::1]:0"),
        ])
        .unwrap();
        let admission = Arc::new(Admission::default());
        let admit = |text: &str| admission.admit(text.parse().unwrap(), &config);
        let first = admit("10.0.0.1").unwrap();
        assert!(admit("10.0.0.1").is_err());
        let _second = admit("10.0.0.2").unwrap();
        let _third = admit("10.0.0.2").unwrap();
        assert!(admit("10.0.0.2").is_err());
        assert!(admit("::1").is_err());
        drop(first);
        let _again = admit("10.0.0.1").unwrap();
        let _fourth = admit("10.0.0.3").unwrap();
        assert!(admit("10.0.0.4").is_err(), "four are open");
        assert_eq!(admission.open(), 4);
    }
}
