//! Documents as they are made, handed over, submitted, changed and erased.

use vouch_types::document::ErasureState;
use vouch_vault::{Blobs as _, ChainChange, FieldSet, Staged, VersionKey};

use super::{World, name, rules};
use crate::{
    chain::Rules,
    support::{Made, Wish, make, member_secret},
};

impl World {
    /// Makes a document, hands its files to its node and stages it there.
    pub fn stage(&mut self, node: usize, file_bytes: Vec<usize>) -> Made {
        let id = self.rng.bytes();
        self.stage_version(node, id, 1, file_bytes)
    }

    pub fn stage_version(&mut self, node: usize, id: [u8; 16], version: u32, file_bytes: Vec<usize>) -> Made {
        let member = self.nodes[node].member;
        let recipient = member_secret(member).public();
        let before = VersionKey { id: vouch_vault::DocumentId::new(id), version: version - 1 };
        let issuer = name(member);
        let wish = Wish {
            id,
            version,
            previous: (version > 1).then(|| self.made[&before]),
            issuer: &issuer,
            recipient: &recipient,
            file_bytes,
            title: "order",
            file_name: "file",
        };
        let made = make(&wish, &mut self.rng);
        self.made.insert(VersionKey { id: made.id, version }, made.root);
        self.planted.insert(VersionKey { id: made.id, version }, made.planted.clone());
        let staged = self.hand_over(node, &made).unwrap();
        assert_eq!(staged.root, made.root);
        made
    }

    /// Files first, then the document.
    pub fn hand_over(&mut self, node: usize, made: &Made) -> Result<Staged, vouch_vault::StageError> {
        let now = self.now();
        let node = &mut self.nodes[node];
        let vault = node.vault.as_mut().unwrap();
        for (blob, bytes) in &made.blobs {
            node.blobs.write(&blob.root.0, vouch_vault::blobs::Part::Data, 0, bytes).unwrap();
            assert!(vault.take_file(now, &made.delivery.key, blob).unwrap());
        }
        vault.stage(now, &made.delivery, made.root).unwrap()
    }

    /// The transaction is final.
    pub fn submit(&mut self, made: &Made, issuer: usize, rules: Rules) -> VersionKey {
        let key = VersionKey { id: made.id, version: made.version };
        self.made.insert(key, made.root);
        self.planted.insert(key, made.planted.clone());
        let parties = rules.members.keys().map(|member| format!("member:{member}")).collect();
        self.shared.0.lock().submit(key, &name(issuer), parties, made.root, made.blob_root, Vec::new(), rules);
        self.spread_blocks();
        key
    }

    /// A document from a node of its issuer to the members given, with what each is to have.
    pub fn publish(&mut self, node: usize, to: &[(usize, FieldSet)], file_bytes: Vec<usize>) -> VersionKey {
        let made = self.stage(node, file_bytes);
        let issuer = self.nodes[node].member;
        let rules = rules(issuer, to);
        self.submit(&made, issuer, rules)
    }

    pub fn change(&mut self, key: &VersionKey, change: ChainChange, alter: impl FnOnce(&mut Rules)) {
        self.shared.0.lock().change_rules(key, change, alter);
        self.spread_blocks();
    }

    pub fn erase(&mut self, key: &VersionKey, state: ErasureState) {
        self.shared.0.lock().erase(&key.id, state);
        self.spread_blocks();
    }
}
