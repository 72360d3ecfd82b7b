//! Puts the vault together from a node's home, and starts its thread.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use vouch_ledger::{CommittedBlock, Reader, Storage};
use vouch_net::{NetHandle, VaultEvents};
use vouch_types::{Height, NodeId, SecretKey};
use vouch_vault::{Blobs, LocalBlobs, LocalShelf, VaultError};

use super::{
    Connections, REQUESTS_MAX, VaultHandle, acts,
    thread::{Inlets, Materials, Noticed, Outlets, VaultThread},
};
use crate::{
    admission::Job,
    commands::output::Stopped,
    config::VaultSettings,
    home::{VaultKeys, private_folder},
    runner::{self, Clock},
    submit::Submitter,
    views::Abis,
};

/// Stack of the thread: queries of contracts run on it.
const STACK_BYTES: usize = 16 << 20;

/// The parts of the node that a vault works with.
pub struct Surroundings {
    /// From the configuration.
    pub settings: VaultSettings,
    /// From the home.
    pub keys: VaultKeys,
    /// The node's network key.
    pub network: SecretKey,
    /// This node.
    pub node: NodeId,
    /// The chain.
    pub reader: Reader,
    /// The database.
    pub storage: Arc<dyn Storage>,
    /// Interfaces of contracts.
    pub abis: Arc<Abis>,
    /// The network.
    pub net: NetHandle,
    /// What comes on the vault's lane.
    pub messages: VaultEvents,
    /// Who is connected.
    pub connections: watch::Receiver<Connections>,
    /// Final blocks.
    pub blocks: broadcast::Receiver<Arc<CommittedBlock>>,
    /// Height of the last one.
    pub head: watch::Receiver<Height>,
    /// The replica's thread.
    pub requests: mpsc::Sender<runner::Request>,
    /// The thread that checks signatures.
    pub admission: mpsc::Sender<Job>,
    /// The node's clock.
    pub clock: Clock,
}

/// How the thread ended: nothing to say when it was told to.
pub type Ended = oneshot::Receiver<Result<(), String>>;

/// Opens shelf and files, starts the thread. Gives back the way to the vault, the way of transactions into the node, which
/// asks the vault first, and what tells that the thread ended.
///
/// # Errors
/// A text that names what could not be opened.
pub fn start(around: Surroundings) -> Result<(VaultHandle, Submitter, Ended)> {
    let folder = &around.settings.folder;
    private_folder(folder)?;
    let stopped = |e: VaultError| Stopped(format!("{}: in {}: {e}", e.code(), folder.display()));
    let shelf = LocalShelf::open(&folder.join("shelf"), &around.keys.master, &rand::random());
    let shelf = shelf.map_err(|e| stopped(e.into()))?;
    let is_used = vouch_vault::holds_files(around.storage.as_ref()).map_err(|e| stopped(e.into()))?;
    let blobs = LocalBlobs::open(&around.settings.files(), is_used).map_err(|e| stopped(e.into()))?;
    let blobs: Arc<dyn Blobs> = Arc::new(blobs);
    let (requests, request_receiver) = mpsc::channel(REQUESTS_MAX);
    let noticed = Arc::new(Noticed::default());
    let own_inlet = requests.downgrade();
    let handle = VaultHandle { requests, noticed: Arc::clone(&noticed) };
    let submitter = Submitter {
        reader: around.reader.clone(),
        requests: around.requests,
        admission: around.admission,
        vault: handle.clone(),
        abis: around.abis,
    };
    let (acts, act_receiver) = mpsc::channel(acts::ACTS_MAX);
    let worker = acts::ActWorker {
        submitter: submitter.clone(),
        vault: handle.clone(),
        head: around.head,
        service: around.keys.service,
        node: around.node,
    };
    tokio::spawn(acts::run(Arc::new(worker), act_receiver));
    let materials = Materials {
        reader: around.reader,
        storage: around.storage,
        shelf: Arc::new(shelf),
        blobs: Arc::clone(&blobs),
        keys: around.keys.member,
        network: around.network,
        node: around.node,
        limits: around.settings.limits,
        audit_keep_ms: around.settings.audit_keep_ms,
        clock: around.clock,
    };
    let inlets = Inlets {
        requests: request_receiver,
        messages: around.messages,
        connections: around.connections,
        blocks: around.blocks,
    };
    let outlets = Outlets { net: around.net, acts, noticed, blobs, requests: own_inlet };
    let ended = spawn(VaultThread::new(materials, inlets, outlets))?;
    Ok((handle, submitter, ended))
}

fn spawn(thread: VaultThread) -> Result<Ended> {
    let (end, ended) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the vault's runtime")?;
    std::thread::Builder::new()
        .name("vault".into())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = runtime.block_on(thread.run());
            // Nobody to tell when the process is going down.
            drop(end.send(result.map_err(|e| format!("{}: {e}", e.code()))));
        })
        .context("cannot start the vault's thread")?;
    Ok(ended)
}
