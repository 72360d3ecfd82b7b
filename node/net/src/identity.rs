//! Between the chain's keys and libp2p's names for them.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey as LibKey, ed25519};
use libp2p::multiaddr::{Multiaddr, Protocol};
use std::net::{IpAddr, SocketAddr};
use vouch_types::{PublicKey, SecretKey};

/// The key pair for the noise handshake. The copy of the seed is erased by libp2p.
pub(crate) fn keypair(secret: &SecretKey) -> Keypair {
    let mut seed = *secret.seed();
    Keypair::ed25519_from_bytes(&mut seed).expect("any 32 bytes are an Ed25519 seed")
}

/// libp2p's name of a key; `None` for a key nobody may register.
pub(crate) fn peer_id(key: &PublicKey) -> Option<PeerId> {
    if key.is_weak() {
        return None;
    }
    let key = ed25519::PublicKey::try_from_bytes(&key.bytes).ok()?;
    Some(LibKey::from(key).to_peer_id())
}

/// The Ed25519 key behind a name; `None` when it is of another kind.
pub(crate) fn public_key(peer: &PeerId) -> Option<PublicKey> {
    // An identity multihash (code 0) holds the key itself.
    let hash = peer.as_ref();
    if hash.code() != 0 {
        return None;
    }
    let key = LibKey::try_decode_protobuf(hash.digest()).ok()?.try_into_ed25519().ok()?;
    Some(PublicKey::ed25519(key.to_bytes()))
}

pub(crate) fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}

pub(crate) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// For events and logs: `ip:port` where it is one.
pub(crate) fn display(address: &Multiaddr) -> String {
    socket_address(address).map_or_else(|| address.to_string(), |a| a.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_the_way_there_and_back() {
        let secret = SecretKey::from_seed([7; 32]);
        let peer = peer_id(&secret.public()).unwrap();
        assert_eq!(keypair(&secret).public().to_peer_id(), peer);
        assert_eq!(public_key(&peer), Some(secret.public()));
    }

    #[test]
    fn weak_keys_and_foreign_names_are_nobody() {
        assert_eq!(peer_id(&PublicKey::ed25519([0; 32])), None);
        assert_eq!(peer_id(&PublicKey { algorithm: 9, bytes: SecretKey::from_seed([7; 32]).public().bytes }), None);
        assert_eq!(public_key(&PeerId::random()), None);
    }

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for text in ["127.0.0.1:7000", "[::1]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(socket_address(&multiaddr(address)), Some(address));
            assert_eq!(display(&multiaddr(address)), text);
        }
    }
}
