//! Where a request comes from: an address, behind the proxies that the operator has named.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{extract::Request, http::HeaderMap};

use crate::{middleware::RemoteAddress, rate_limit::caller_of};

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

/// Whom a request is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) address: IpAddr,
    /// Whether it comes from a program on this machine that asks for itself.
    pub(crate) is_local: bool,
    /// Whether a named proxy brings it.
    pub(crate) is_proxied: bool,
}

impl Origin {
    const UNKNOWN: Self = Self { address: IpAddr::V6(Ipv6Addr::UNSPECIFIED), is_local: false, is_proxied: false };

    /// As [`Origin::find`] found it out.
    pub(crate) fn of(request: &Request) -> Self {
        request.extensions().get().copied().unwrap_or(Self::UNKNOWN)
    }

    /// One IPv4 address or an IPv6 /64.
    pub(crate) fn caller(&self) -> IpAddr {
        caller_of(self.address)
    }

    /// From the connection's other end and, when that is a named proxy, from what it says. Of a list of addresses the last one
    /// counts that is not itself a named proxy's: what is further left anybody can have written.
    pub(crate) fn find(remote: Option<RemoteAddress>, headers: &HeaderMap, proxies: &BTreeSet<IpAddr>) -> Self {
        let Some(RemoteAddress(remote)) = remote else { return Self::UNKNOWN };
        let peer = remote.ip().to_canonical();
        if proxies.contains(&peer) {
            let address = forwarded_for(headers, proxies).unwrap_or(peer);
            return Self { address, is_local: false, is_proxied: true };
        }
        // A proxy that nobody has named speaks for others, and not for this machine.
        let is_relayed = headers.contains_key(FORWARDED_FOR) || headers.contains_key(FORWARDED);
        Self { address: peer, is_local: peer.is_loopback() && !is_relayed, is_proxied: false }
    }
}

fn forwarded_for(headers: &HeaderMap, proxies: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let said = lines.flat_map(|line| line.to_str().unwrap_or("").rsplit(',').map(str::trim));
    // What cannot be read ends the list: left of it nothing is to be relied on.
    let mut read = said.map_while(|text| {
        let address = text.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
        Some(address.to_canonical())
    });
    read.find(|address| !proxies.contains(address))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn found(peer: &str, header: Option<(&'static str, &'static str)>) -> (String, bool, bool) {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.append(name, HeaderValue::from_static(value));
        }
        let proxies = BTreeSet::from(["127.0.0.1", "192.0.2.1"].map(|text| text.parse::<IpAddr>().expect("address")));
        let remote = RemoteAddress(peer.parse().expect("address"));
        let Origin { address, is_local, is_proxied } = Origin::find(Some(remote), &headers, &proxies);
        (address.to_string(), is_local, is_proxied)
    }

    #[test]
    fn behind_a_named_proxy_its_client_counts() {
        let by = |text| Some((FORWARDED_FOR, text));
        for (peer, header, expected) in [
            ("127.0.0.1:9", by("203.0.113.5"), "203.0.113.5"),
            ("127.0.0.1:9", by("203.0.113.5:4711"), "203.0.113.5"),
            ("127.0.0.1:9", by("[2001:db8::5]:4711"), "2001:db8::5"),
            ("[::ffff:127.0.0.1]:9", by("203.0.113.5"), "203.0.113.5"),
            ("127.0.0.1:9", by("10.9.9.9, 203.0.113.5"), "203.0.113.5"),
            ("127.0.0.1:9", by("203.0.113.5, 192.0.2.1"), "203.0.113.5"),
            ("127.0.0.1:9", by("203.0.113.5, unknown, 192.0.2.1"), "127.0.0.1"),
            ("127.0.0.1:9", by("127.0.0.1"), "127.0.0.1"),
            ("127.0.0.1:9", by(""), "127.0.0.1"),
            ("127.0.0.1:9", None, "127.0.0.1"),
        ] {
            assert_eq!(found(peer, header), (expected.into(), false, true), "{peer} {header:?}");
        }
    }

    #[test]
    fn who_is_no_named_proxy_speaks_for_itself() {
        assert_eq!(found("[::1]:9", None), ("::1".into(), true, false));
        for name in [FORWARDED_FOR, FORWARDED] {
            let relayed = found("[::1]:9", Some((name, "for=203.0.113.5")));
            assert_eq!(relayed, ("::1".into(), false, false), "a proxy that is not named is not this machine");
        }
        let stranger = found("198.51.100.9:9", Some((FORWARDED_FOR, "127.0.0.1")));
        assert_eq!(stranger, ("198.51.100.9".into(), false, false));
        let unknown = Origin::find(None, &HeaderMap::new(), &BTreeSet::new());
        assert!(!unknown.is_local && !unknown.is_proxied);
    }
}
