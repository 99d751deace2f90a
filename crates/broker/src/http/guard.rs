//! Keeps web pages of other sites away: a browser lets any page send requests to this machine.
//!
//! Two ways in, both closed. A page of another site sends its own `Origin`, or a POST that is no JSON. A name of the
//! attacker's that is made to point here (DNS rebinding) stands in `Host`, where only names of our own are taken.

use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, ORIGIN};

/// Why a request is refused, if it is. `is_change` for all that is not only read; `own` are further names of this host.
pub(super) fn refusal(headers: &HeaderMap, is_change: bool, own: &[&str]) -> Option<&'static str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text(HOST) else {
        return Some("the request has no Host header");
    };
    if !is_own(host, own) {
        return Some("the Host header names another host: use an address or localhost");
    }
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Some("the request comes from a page of another site");
    }
    if let Some(origin) = headers.get(ORIGIN)
        && origin.to_str().ok().and_then(|o| o.strip_prefix("http://")) != Some(host)
    {
        return Some("the request comes from a page of another site");
    }
    // Such a body is not sent across sites without asking first, which is not answered here.
    let is_json = text(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/json"));
    if is_change && !is_json {
        return Some("a change needs Content-Type: application/json");
    }
    None
}

fn is_own(host: &str, own: &[&str]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok()
        || own.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{HeaderName, HeaderValue};

    fn asked(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        headers.iter().map(header).collect()
    }

    #[test]
    fn curl_and_the_command_line_pass() {
        for host in [
            "127.0.0.1:9644",
            "[::1]:9644",
            "localhost:9644",
            "kafka-1:9644",
        ] {
            let mut headers = asked(&[("content-type", "application/json")]);
            headers.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(refusal(&headers, true, &["kafka-1"]), None, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_can_neither_change_nor_read() {
        let json = ("content-type", "application/json");
        let host = ("host", "127.0.0.1:9644");
        for is_change in [true, false] {
            let foreign = asked(&[host, json, ("origin", "http://evil.example")]);
            assert!(refusal(&foreign, is_change, &[]).is_some());
            let null = asked(&[host, json, ("origin", "null")]);
            assert!(refusal(&null, is_change, &[]).is_some());
            let cross = asked(&[host, json, ("sec-fetch-site", "cross-site")]);
            assert!(refusal(&cross, is_change, &[]).is_some());
            let rebound = asked(&[("host", "evil.example:9644"), json]);
            assert!(refusal(&rebound, is_change, &[]).is_some());
            let own = asked(&[host, json, ("origin", "http://127.0.0.1:9644")]);
            assert_eq!(refusal(&own, is_change, &[]), None);
        }
        let form = asked(&[host, ("content-type", "application/x-www-form-urlencoded")]);
        assert!(refusal(&form, true, &[]).is_some());
        assert!(refusal(&asked(&[]), false, &[]).is_some());
    }
}
