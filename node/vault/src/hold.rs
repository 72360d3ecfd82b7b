//! Holding: deliveries are checked against the chain, kept, and acknowledged. What this member is not to hold is never
//! written anywhere.

use vouch_ledger::{Batch, Table};
use vouch_privacy::FieldKeySet;
use vouch_types::{document::Audience, encode};
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    acts::Act,
    chain::{Facts, fields_of},
    copy::{self, Copy, Delivery, Sound, Verified},
    disk::{Kind, mark, put, read, row},
    files::{Transfer, file_key, file_of_row, transfer_row},
    message::{FileKey, Message, Receipt, Refusal},
    reconcile::issuer_bytes,
    shelf::Shelved,
    vault::{Effect, Vault, VaultError},
    words::{FieldSet, PeerId, VersionKey},
};

/// What is held of a version, in short.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Held {
    /// Who issued it.
    pub(crate) issuer: String,
    /// Its root.
    pub(crate) root: [u8; 32],
    /// Fields that are here and checked.
    pub(crate) fields: FieldSet,
    /// Those of them whose files are not all here.
    pub(crate) pending: FieldSet,
    /// Whether it was staged here: then this node delivers it.
    pub(crate) staged_here: bool,
    /// Whether it was judged to break the rules, and that was said on the chain.
    pub(crate) rejected: bool,
}

impl Held {
    /// Fields that are here with all their files: what a receipt says.
    pub(crate) fn possessed(&self) -> FieldSet {
        self.fields.difference(&self.pending)
    }
}

/// A copy with the keys that open it.
pub(crate) struct OpenCopy {
    pub(crate) held: Held,
    pub(crate) copy: Copy,
    pub(crate) keys: FieldKeySet,
}

impl OpenCopy {
    /// Whether it is what the chain speaks of. Id and root of a document can be read in any transaction that names them, so
    /// somebody else may put them on the chain as its own: then nothing that lies here is meant.
    pub(crate) fn is_of(&self, facts: &Facts) -> bool {
        self.held.root == facts.root && self.held.issuer == facts.issuer
    }
}

impl Vault {
    /// What is held of a version and can be opened.
    pub(crate) fn held(&self, key: &VersionKey) -> Result<Option<Held>, VaultError> {
        let Some(held) = self.disk.get::<Held>(Table::Vault, &row(Kind::Held, &[&key.to_bytes()]))? else {
            return Ok(None);
        };
        // After a restore the storage may be older or younger than the shelf: without its key a copy is none.
        Ok(matches!(self.shelf.get(&key.id)?, Shelved::Key(_)).then_some(held))
    }

    /// The copy of a version with its keys; `None` when it is not held or cannot be opened.
    pub(crate) fn open_copy(&self, key: &VersionKey) -> Result<Option<OpenCopy>, VaultError> {
        let Some(held) = self.held(key)? else { return Ok(None) };
        let Shelved::Key(shelved) = self.shelf.get(&key.id)? else { return Ok(None) };
        let (Some(copy), Some(sealed)) = (self.copy(key)?, self.disk.bytes(Table::VaultKeys, &key.to_bytes())?) else {
            return Ok(None);
        };
        let keys = copy::unseal_keys(&self.chain_id, &shelved, key, &sealed);
        Ok(keys.map(|keys| OpenCopy { held, copy, keys }))
    }

    /// Fields of a version that are here with all their files, under keys that open them.
    pub(crate) fn openable(&self, key: &VersionKey) -> Result<FieldSet, VaultError> {
        let (Some(held), Shelved::Key(shelved)) = (self.held(key)?, self.shelf.get(&key.id)?) else {
            return Ok(FieldSet::new());
        };
        let sealed = self.disk.bytes(Table::VaultKeys, &key.to_bytes())?;
        let keys = sealed.and_then(|sealed| copy::unseal_keys(&self.chain_id, &shelved, key, &sealed));
        Ok(keys.map(|_| held.possessed()).unwrap_or_default())
    }

    /// The copy of a version as it lies here; `None` also when its bytes are none any more, which the check of what lies at
    /// rest finds and repairs.
    pub(crate) fn copy(&self, key: &VersionKey) -> Result<Option<Copy>, VaultError> {
        let bytes = self.disk.bytes(Table::VaultCopies, &key.to_bytes())?;
        Ok(bytes.and_then(|bytes| read::<Copy>(&bytes).ok()))
    }

    pub(crate) fn receive_delivery(&mut self, from: PeerId, bytes: Vec<u8>) -> Result<(), VaultError> {
        let Ok(delivery) = Delivery::from_bytes(&bytes) else {
            self.fault(from, "vault.malformed_delivery");
            return Ok(());
        };
        let key = delivery.key;
        if self.is_erased(&key.id)? {
            return self.refuse(from, &key, Refusal::Erased);
        }
        let Some(facts) = self.chain.document(&key)? else {
            return self.put_off(from, &key, bytes, Refusal::Unknown);
        };
        if facts.is_to_be_shredded() {
            return self.refuse(from, &key, Refusal::Erased);
        }
        let audience = self.chain.audience(&key)?;
        let mine = fields_of(&audience, &self.member);
        if !delivery.fields().is_subset(&mine) {
            // The sender's chain may be a block ahead. If not, nothing of it is kept or opened.
            self.counters.unentitled_deliveries += 1;
            return self.put_off(from, &key, bytes, Refusal::NotEntitled);
        }
        let held = self.held(&key)?;
        if held.as_ref().is_some_and(|held| delivery.fields().is_subset(&held.fields)) {
            self.counters.deliveries_again += 1;
            self.fetch_answered(&from, &key, false);
            return self.acknowledge(&key, Some(from));
        }
        match copy::verify(&self.chain_id, &delivery, &facts, self.secrets.as_ref()) {
            Verified::Good(sound) => {
                self.counters.deliveries_taken += 1;
                self.keep(&key, &facts, &audience, *sound)?;
                self.fetch_answered(&from, &key, true);
                self.acknowledge(&key, Some(from))
            }
            Verified::Unreadable(code) => self.keep_nothing(&key, code),
            Verified::Broken(code) => {
                self.fault(from, code);
                self.fetch_answered(&from, &key, false);
                self.refuse(from, &key, Refusal::Broken)
            }
        }
    }

    /// Waits for the next blocks, if there is room.
    fn put_off(&mut self, from: PeerId, key: &VersionKey, bytes: Vec<u8>, refusal: Refusal) -> Result<(), VaultError> {
        if self.early.keep(&self.limits, from, key, bytes) {
            return Ok(());
        }
        self.fetch_answered(&from, key, false);
        self.refuse(from, key, refusal)
    }

    fn refuse(&mut self, to: PeerId, key: &VersionKey, refusal: Refusal) -> Result<(), VaultError> {
        self.fetch_failed(to, key, refusal);
        self.send(to, &Message::Refused { key: *key, refusal });
        Ok(())
    }

    /// What the chain commits to is nothing that can be held: that is said there, and it is not looked for any more.
    fn keep_nothing(&mut self, key: &VersionKey, code: &'static str) -> Result<(), VaultError> {
        if self.disk.has(&row(Kind::Unreadable, &[&key.to_bytes()]))? {
            return Ok(());
        }
        let mut batch = Batch::new();
        put(&mut batch, row(Kind::Unreadable, &[&key.to_bytes()]), &code.to_owned());
        self.no_longer_want(key, &mut batch);
        self.act_with(batch, [Act::Judge { key: *key, accepted: false, code: code.to_owned() }])
    }

    /// Keeps what was checked, together with what is there already.
    fn keep(
        &mut self,
        key: &VersionKey,
        facts: &Facts,
        audience: &Audience,
        Sound { copy, keys, opened }: Sound,
    ) -> Result<(), VaultError> {
        let verdict = match copy::check_rules(&opened, facts) {
            Ok(()) if !self.follows_its_previous(key, copy.previous())? => Err("vault.previous_root"),
            verdict => verdict,
        };
        let before = self.open_copy(key)?;
        let (copy, keys) = match &before {
            Some(old) => copy::united((&old.copy, &old.keys), (copy, &keys)),
            None => (copy, keys),
        };
        let mut held = Held {
            issuer: facts.issuer.clone(),
            root: facts.root,
            fields: copy.fields(),
            pending: FieldSet::new(),
            staged_here: before.as_ref().is_some_and(|old| old.held.staged_here),
            rejected: before.as_ref().is_some_and(|old| old.held.rejected),
        };
        if !held.rejected
            && let Err(code) = verdict
        {
            held.rejected = true;
            self.act(Act::Judge { key: *key, accepted: false, code: code.to_owned() })?;
        }
        let mut batch = Batch::new();
        self.plan_files(key, &copy, &mut held, &mut batch)?;
        self.write_copy(key, &copy, &keys, &mut batch)?;
        self.write_held(key, &held, &mut batch)?;
        if fields_of(audience, &self.member).is_subset(&held.fields) {
            self.no_longer_want(key, &mut batch);
        }
        self.report_possession(key, audience, before.as_ref().map(|old| &old.held), &held, &mut batch);
        self.disk.apply(batch)?;
        if held.issuer == self.member && held.staged_here {
            self.owe(key, audience, &held.fields)?;
        }
        Ok(())
    }

    /// Whether a version names the root of the one before as it stands on the chain.
    pub(crate) fn follows_its_previous(
        &self,
        key: &VersionKey,
        previous: Option<[u8; 32]>,
    ) -> Result<bool, VaultError> {
        let Some(before) = key.version.checked_sub(1).filter(|version| *version > 0) else {
            return Ok(previous.is_none());
        };
        let before = self.chain.document(&VersionKey { id: key.id, version: before })?;
        Ok(before.is_some_and(|facts| Some(facts.root) == previous))
    }

    /// Files of the fields held that are not here yet are to be fetched.
    fn plan_files(
        &mut self,
        key: &VersionKey,
        copy: &Copy,
        held: &mut Held,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        for blob in copy.files_of(&held.fields.clone()) {
            mark(batch, file_of_row(blob, key));
            if !self.has_file(blob)? {
                held.pending.insert(blob.slot);
                let waiting = transfer_row(key, &file_key(blob));
                if !self.disk.has(&waiting)? {
                    put(batch, waiting, &Transfer::new(blob));
                    self.transfers.encouraged();
                }
            }
        }
        Ok(())
    }

    /// Files of fields held that this member is to have again, after it was not for a while.
    fn plan_pending_files(&mut self, key: &VersionKey, held: &Held) -> Result<(), VaultError> {
        let Some(copy) = self.copy(key)? else { return Ok(()) };
        let mut batch = Batch::new();
        self.plan_files(key, &copy, &mut held.clone(), &mut batch)?;
        self.disk.apply(batch)
    }

    /// Writes ciphertext and sealed keys; the document's own key is made if it has none.
    pub(crate) fn write_copy(
        &mut self,
        key: &VersionKey,
        copy: &Copy,
        keys: &FieldKeySet,
        batch: &mut Batch,
    ) -> Result<(), VaultError> {
        let shelved = match self.shelf.get(&key.id)? {
            Shelved::Key(shelved) => shelved,
            Shelved::Absent => {
                let made = copy::random_key(&mut self.rng);
                self.shelf.put(&key.id, &made)?;
                self.shelf_unsynced = true;
                made
            }
            Shelved::Destroyed => return Err(VaultError::Damaged { what: "an erased document is being written" }),
        };
        let sealed = copy::seal_keys(&self.chain_id, &shelved, key, keys, &mut self.rng);
        batch.put(Table::VaultCopies, key.to_bytes(), encode(copy));
        batch.put(Table::VaultKeys, key.to_bytes(), sealed);
        Ok(())
    }

    /// Writes the row of what is held, and what follows of it for comparisons.
    pub(crate) fn write_held(&mut self, key: &VersionKey, held: &Held, batch: &mut Batch) -> Result<(), VaultError> {
        put(batch, row(Kind::Held, &[&key.to_bytes()]), held);
        let by_issuer = row(Kind::ByIssuer, &[&issuer_bytes(&held.issuer), &key.to_bytes()]);
        // From the row, not from what can be opened: after a crash a copy may be there without its key.
        let had = self.disk.get::<FieldSet>(Table::Vault, &by_issuer)?.unwrap_or_default();
        let has = held.possessed();
        if had != has {
            self.reconciliation.possession_changed(&held.issuer, key, &had, &has);
            if has.is_empty() {
                batch.delete(Table::Vault, by_issuer);
            } else {
                put(batch, by_issuer, &has);
            }
        }
        Ok(())
    }

    /// Says that possession is complete, here and on the chain, when it becomes so with `batch`.
    fn report_possession(
        &mut self,
        key: &VersionKey,
        audience: &Audience,
        before: Option<&Held>,
        held: &Held,
        batch: &mut Batch,
    ) {
        let mine = fields_of(audience, &self.member);
        let was_complete = before.is_some_and(|old| mine.is_subset(&old.possessed()));
        if !was_complete && !mine.is_empty() && mine.is_subset(&held.possessed()) {
            self.counters.possessed += 1;
            self.out.push(Effect::Possessed(*key));
            self.attest_possession(key, &held.possessed(), batch);
        }
    }

    /// Says on the chain that all is held of what this member is to have, where that was not said: what it is to have may have
    /// become less until that was so.
    fn say_possession(&mut self, key: &VersionKey, audience: &Audience, held: &Held) -> Result<(), VaultError> {
        let (mine, has) = (fields_of(audience, &self.member), held.possessed());
        let is_whole = !mine.is_empty() && mine.is_subset(&has);
        if !is_whole || self.is_being_said(key)? || mine.is_subset(&self.chain.said_possession(key, &self.member)?) {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.attest_possession(key, &has, &mut batch);
        self.disk.apply(batch)
    }

    /// A file came to its end: the field it belongs to may be whole now.
    pub(crate) fn file_complete(&mut self, key: &VersionKey, file: &FileKey) -> Result<(), VaultError> {
        let mut batch = Batch::new();
        batch.delete(Table::Vault, transfer_row(key, file));
        if let Some(opened) = self.open_copy(key)? {
            let mut held = opened.held.clone();
            let mut whole = true;
            for other in opened.copy.files_of(&[file.slot].into_iter().collect()) {
                whole &= file_key(other) == *file || self.has_file(other)?;
            }
            if whole {
                held.pending = held.pending.difference(&[file.slot].into_iter().collect());
            }
            self.write_held(key, &held, &mut batch)?;
            let audience = self.chain.audience(key)?;
            self.report_possession(key, &audience, Some(&opened.held), &held, &mut batch);
            self.disk.apply(batch)?;
            return self.acknowledge(key, None);
        }
        self.disk.apply(batch)
    }

    /// Signs for what is possessed, to whoever delivered it and to the issuer's nodes.
    pub(crate) fn acknowledge(&mut self, key: &VersionKey, deliverer: Option<PeerId>) -> Result<(), VaultError> {
        let Some(held) = self.held(key)? else { return Ok(()) };
        let mut to: Vec<PeerId> = self.roster.nodes_of(&held.issuer).to_vec();
        to.extend(deliverer);
        to.sort_unstable();
        to.dedup();
        to.retain(|peer| *peer != self.own && (self.peers.contains(peer) || Some(*peer) == deliverer));
        if !to.is_empty() {
            let receipt = self.receipt(key, &held);
            for peer in to {
                self.send(peer, &Message::Receipt(Box::new(receipt.clone())));
            }
        }
        Ok(())
    }

    pub(crate) fn receipt(&self, key: &VersionKey, held: &Held) -> Receipt {
        let mut receipt = Receipt {
            key: *key,
            root: held.root,
            fields: held.possessed(),
            height: self.chain.head(),
            holder: self.own,
            signature: vouch_types::Signature([0; 64]),
        };
        receipt.signature = self.network.sign(receipt.digest(&self.chain_id).as_bytes());
        receipt
    }

    /// Looks at a version as the chain has it now: what follows for staging, holding, delivering and shredding. `anyone`
    /// delivers also what was not staged here, for a look at everything.
    pub(crate) fn consider(&mut self, key: &VersionKey, anyone: bool) -> Result<(), VaultError> {
        if self.is_others(key)? {
            return Ok(());
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(()) };
        if facts.is_to_be_shredded() {
            return self.shred(&key.id);
        }
        if self.is_erased(&key.id)? {
            return Ok(());
        }
        let audience = self.chain.audience(key)?;
        self.settle_staged(key, &facts, &audience)?;
        let held = self.held(key)?;
        let fields = held.as_ref().map(|held| held.fields.clone()).unwrap_or_default();
        let unreadable = self.disk.has(&row(Kind::Unreadable, &[&key.to_bytes()]))?;
        if !unreadable && !fields_of(&audience, &self.member).is_subset(&fields) {
            let patience_ms = if facts.issuer == self.member { 0 } else { self.limits.push_patience_ms };
            self.want(key, if anyone { 0 } else { patience_ms })?;
        }
        if let Some(held) = held.as_ref().filter(|held| !held.pending.is_empty()) {
            self.plan_pending_files(key, held)?;
        }
        if let Some(held) = &held {
            self.say_possession(key, &audience, held)?;
        }
        match held {
            Some(held) if facts.issuer == self.member && (held.staged_here || anyone) => {
                self.owe(key, &audience, &held.fields)
            }
            _ => Ok(()),
        }
    }

    /// Whether a version is for others and nothing of it is here: so is most of what a large consortium does, and it needs no
    /// further question.
    fn is_others(&self, key: &VersionKey) -> Result<bool, VaultError> {
        let audience = self.chain.audience(key)?;
        if audience.members.is_empty() || audience.members.iter().any(|entitled| entitled.member == self.member) {
            return Ok(false);
        }
        let bytes = key.to_bytes();
        for kind in [Kind::Held, Kind::Staged, Kind::Wanted] {
            if self.disk.has(&row(kind, &[&bytes]))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A staged document that its own member's transaction has put on the chain is held from now on.
    fn settle_staged(&mut self, key: &VersionKey, facts: &Facts, audience: &Audience) -> Result<(), VaultError> {
        let Some(staged) = self.staged(key)? else { return Ok(()) };
        let mut batch = Batch::new();
        batch.delete(Table::Vault, row(Kind::Staged, &[&key.to_bytes()]));
        self.staged_count = self.staged_count.saturating_sub(1);
        let is_it = staged.root == facts.root && staged.blob_root == facts.blob_root && facts.issuer == self.member;
        let (Some(opened), true) = (self.open_staged(key)?, is_it) else {
            // Another content, or somebody else with this one, got the name on the chain: what lies here is nothing.
            self.disk.apply(batch)?;
            return self.forget_copy(key);
        };
        let mut held = Held {
            issuer: facts.issuer.clone(),
            root: facts.root,
            fields: opened.0.fields(),
            pending: FieldSet::new(),
            staged_here: true,
            rejected: false,
        };
        self.plan_files(key, &opened.0, &mut held, &mut batch)?;
        self.write_held(key, &held, &mut batch)?;
        self.report_possession(key, audience, None, &held, &mut batch);
        self.disk.apply(batch)?;
        self.owe(key, audience, &held.fields)
    }
}
