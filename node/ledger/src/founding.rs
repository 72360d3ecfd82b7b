//! Turns the genesis document into the first state.

use std::sync::Arc;

use vouch_genesis::GenesisDocument;
use vouch_types::Height;

use crate::{
    chain::LedgerError,
    kernel,
    overlay::Overlay,
    registry::{
        AccountRecord, AccountStanding, EncryptionKey, MemberRecord, MemberStanding, NodeRecord, Record, Registry,
    },
    session::{Moment, Runtime, Session},
    storage::Storage,
};

/// A session whose overlay holds the founding records and contracts.
///
/// # Errors
/// [`LedgerError::Genesis`] when a founding contract cannot be installed.
pub fn establish(
    genesis: &GenesisDocument,
    storage: &Arc<dyn Storage>,
    runtime: &Arc<Runtime>,
) -> Result<Box<Session>, LedgerError> {
    let moment = Moment { height: Height::ZERO, time: genesis.time, read_only: false };
    let mut overlay = Overlay::new(Arc::clone(storage));
    let mut registry = Registry::new(genesis.params.clone());
    registry.write(&mut overlay, Record::Params(genesis.params.clone()));
    for member in &genesis.members {
        for record in records(member) {
            registry.write(&mut overlay, record);
        }
    }
    let mut session = Session::new(overlay, Arc::new(registry), moment, Arc::clone(runtime));
    for contract in &genesis.contracts {
        kernel::install(&mut session, contract.name.as_str(), &contract.code)
            .map_err(|reason| LedgerError::Genesis(format!("contract {}: {reason}", contract.name)))?;
    }
    session.events.clear();
    Ok(session)
}

fn records(member: &vouch_genesis::Member) -> Vec<Record> {
    let name = member.name.as_str().to_owned();
    let mut records = vec![Record::Member(MemberRecord {
        name: name.clone(),
        title: member.title.clone(),
        role: member.role,
        admin_threshold: member.admin.threshold,
        admin_keys: member.admin.keys.clone(),
        standing: MemberStanding::Active,
        encryption_keys: member.encryption_key.iter().map(first_key).collect(),
        ca_certificate: member.ca_certificate.clone(),
    })];
    records.extend(member.nodes.iter().map(|node| {
        Record::Node(NodeRecord {
            member: name.clone(),
            name: node.name.clone(),
            consensus_key: node.consensus_key,
            network_key: node.network_key,
            address: node.address.clone(),
            power: node.power,
        })
    }));
    records.extend(member.accounts.iter().map(|account| {
        Record::Account(AccountRecord {
            member: name.clone(),
            name: account.name.clone(),
            key: account.key,
            roles: account.roles.clone(),
            standing: AccountStanding::Active,
        })
    }));
    records
}

fn first_key(key: &vouch_types::Hash32) -> EncryptionKey {
    EncryptionKey { id: 1, key: key.0, since: Height::ZERO, retired: None }
}
