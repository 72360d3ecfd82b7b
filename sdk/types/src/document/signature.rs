//! What a person signs with their own key, and the record of a signature that another account brought.

use serde::{Deserialize, Serialize};
use wincode::{SchemaRead, SchemaWrite};

use super::DocumentId;
use crate::{
    codec::encode,
    hash::{DocumentRoot, Hash32, domain_hash},
    keys::{PublicKey, Signature},
};

/// Domain of the signature by which a person signs a version without sending a transaction.
pub const SIGNATURE_TAG: &str = "vouch/document-signature/1";

/// What is signed.
#[must_use]
pub fn signature_digest(id: &DocumentId, version: u32, root: &DocumentRoot) -> Hash32 {
    domain_hash(SIGNATURE_TAG, &[&encode(&(*id, version, *root))])
}

/// The signature that a person made with their own key and that another account brought. With the version's root and the
/// person's keys in `relations` anyone checks it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, SchemaRead, SchemaWrite)]
pub struct PersonSignature {
    /// The key that it was made with.
    pub key: PublicKey,
    /// The signature.
    #[serde(with = "crate::hex_serde")]
    pub signature: Vec<u8>,
}

impl PersonSignature {
    /// Whether the key signed this version.
    #[must_use]
    pub fn is_of(&self, id: &DocumentId, version: u32, root: &DocumentRoot) -> bool {
        let signature = <[u8; 64]>::try_from(self.signature.as_slice()).map(Signature);
        let digest = signature_digest(id, version, root);
        signature.is_ok_and(|signature| self.key.verify(digest.as_bytes(), &signature).is_ok())
    }
}
