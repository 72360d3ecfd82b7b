//! Files of documents: large ciphertexts, named by the BLAKE3 hash of their bytes, fetched in pieces that are each verified
//! against that hash before they are written, and taken up where they ended after a crash.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use bao_tree::{
    BaoTree, BlockSize, ChunkNum, ChunkRanges,
    io::{
        BaoContentItem, EncodeError,
        outboard::PreOrderOutboard,
        sync::{DecodeResponseIter, ReadAt, WriteAt, encode_ranges_validated, outboard},
    },
};
use vouch_ledger::{Batch, Table};
use vouch_privacy::attachment::{Blob, CHUNK_LOG, GROUP_BYTES};
use vouch_types::Hash32;
use wincode::{SchemaRead, SchemaWrite};

use crate::{
    blobs::{BlobError, BlobId, Blobs, Part},
    chain::fields_of,
    disk::{Kind, above, put, read, row},
    fetch::{BUSY_MAX, BUSY_MS},
    message::{FileKey, Message, Refusal},
    scrub::Place,
    vault::{Vault, VaultError},
    words::{DocumentId, FieldSet, PeerId, VersionKey},
};

/// Bytes of a piece: what one message carries.
pub const PIECE_BYTES: u64 = 256 << 10;

/// How far a file is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Transfer {
    blob: Blob,
    /// Everything below is here.
    done: u64,
    /// Nothing from here on is missing.
    end: u64,
}

impl Transfer {
    pub(crate) const fn new(blob: &Blob) -> Self {
        Self { blob: *blob, done: 0, end: blob.bytes }
    }
}

pub(crate) fn transfer_row(key: &VersionKey, file: &FileKey) -> Vec<u8> {
    place_row(Kind::Transfer, key, file)
}

/// A row about one of a version's files.
pub(crate) fn place_row(kind: Kind, key: &VersionKey, file: &FileKey) -> Vec<u8> {
    row(kind, &[&key.to_bytes(), &file.slot.to_be_bytes(), &file.index.to_be_bytes()])
}

/// Version and file of such a row.
pub(crate) fn place_of(found: &[u8]) -> Result<(VersionKey, FileKey), VaultError> {
    let parts = found.get(1..).and_then(|rest| rest.split_at_checked(VersionKey::BYTES));
    let (Some(key), Some(Ok([a, b, c, d]))) =
        (parts.and_then(|(key, _)| VersionKey::from_bytes(key)), parts.map(|(_, file)| <[u8; 4]>::try_from(file)))
    else {
        return Err(VaultError::Damaged { what: "a file's row" });
    };
    Ok((key, FileKey { slot: u16::from_be_bytes([a, b]), index: u16::from_be_bytes([c, d]) }))
}

pub(crate) const fn file_key(blob: &Blob) -> FileKey {
    FileKey { slot: blob.slot, index: blob.index }
}

fn tree_of(bytes: u64) -> BaoTree {
    BaoTree::new(bytes, BlockSize::from_chunk_log(CHUNK_LOG))
}

fn chunks(from: u64, to: u64) -> ChunkRanges {
    ChunkRanges::from(ChunkNum::full_chunks(from)..ChunkNum::chunks(to))
}

/// A part of a file, as the library reads and writes it.
struct Stored<'a> {
    blobs: &'a dyn Blobs,
    id: &'a [u8; 32],
    part: Part,
}

impl ReadAt for Stored<'_> {
    fn read_at(&self, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let to = from.saturating_add(buffer.len() as u64);
        let bytes = self.blobs.read(self.id, self.part, from..to).map_err(io::Error::other)?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

impl WriteAt for Stored<'_> {
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize> {
        self.blobs.write(self.id, self.part, at, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file from its beginning.
struct Reading<'a> {
    stored: Stored<'a>,
    at: u64,
}

impl io::Read for Reading<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stored.read_at(self.at, buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> BlobError {
    move |error| BlobError { operation, message: error.to_string() }
}

/// Writes the tree of a file that lies under the name `id`, and compares its hash. It reads the whole file, about a second
/// for a GiB.
pub(crate) fn index_file(blobs: &dyn Blobs, id: &BlobId, blob: &Blob) -> Result<bool, BlobError> {
    if blobs.size(id, Part::Data)?.unwrap_or_default() != blob.bytes {
        return Ok(false);
    }
    let tree = tree_of(blob.bytes);
    let stored = |part| Stored { blobs, id, part };
    let made = PreOrderOutboard { root: blake3::Hash::from_bytes([0; 32]), tree, data: stored(Part::Tree) };
    let reading = Reading { stored: stored(Part::Data), at: 0 };
    let root = outboard(reading, tree, made).map_err(failed("hash"))?;
    Ok(root == blake3::Hash::from_bytes(blob.root.0))
}

/// The bytes of a range with the proof that they are the file's; `None` when what lies here is not. The proof covers whole
/// groups.
///
/// # Errors
/// [`BlobError`] when it cannot be read: then nothing is known of it.
pub fn cut_piece(blobs: &dyn Blobs, blob: &Blob, from: u64, to: u64) -> Result<Option<Vec<u8>>, BlobError> {
    let stored = |part| Stored { blobs, id: &blob.root.0, part };
    let root = blake3::Hash::from_bytes(blob.root.0);
    let tree = PreOrderOutboard { root, tree: tree_of(blob.bytes), data: stored(Part::Tree) };
    let mut piece = Vec::new();
    match encode_ranges_validated(stored(Part::Data), tree, &chunks(from, to), &mut piece) {
        Ok(()) => Ok(Some(piece)),
        // Shorter than it should be is damage; everything else that the system says is not.
        Err(EncodeError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(failed("read")(error)),
        Err(_) => Ok(None),
    }
}

/// What a check of a range came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It is the file's.
    Intact,
    /// These bytes are not; they are fetched anew.
    Damaged(u64, u64),
    /// It cannot be read now.
    Unreadable,
}

/// The groups of a range that are not the file's, from the first to the last; `None` when a second look finds none, since a
/// damaged hash above them fails each below it.
fn damage_within(blobs: &dyn Blobs, blob: &Blob, from: u64, to: u64) -> Result<Option<(u64, u64)>, BlobError> {
    if cut_piece(blobs, blob, from, to)?.is_some() {
        return Ok(None);
    }
    let mut at = from;
    let mut damaged: Option<(u64, u64)> = None;
    while at < to {
        let end = to.min(at + GROUP_BYTES);
        if cut_piece(blobs, blob, at, end)?.is_none() {
            damaged = Some((damaged.map_or(at, |(begin, _)| begin), end));
        }
        at = end;
    }
    Ok(damaged)
}

/// Checks a piece and writes it; false when it is not the file's.
fn take_piece(blobs: &dyn Blobs, blob: &Blob, from: u64, piece: &[u8]) -> Result<bool, BlobError> {
    let tree = tree_of(blob.bytes);
    let to = blob.bytes.min(from.saturating_add(PIECE_BYTES));
    let mut rest = piece;
    let ranges = chunks(from, to);
    let items = DecodeResponseIter::new(blake3::Hash::from_bytes(blob.root.0), tree, &mut rest, &ranges);
    // First all of it is checked, then anything is written.
    let Ok(items) = items.collect::<Result<Vec<_>, _>>() else { return Ok(false) };
    if !rest.is_empty() {
        return Ok(false);
    }
    for item in items {
        match item {
            BaoContentItem::Parent(parent) => {
                if let Some(place) = tree.pre_order_offset(parent.node) {
                    let pair = [parent.pair.0.as_bytes().as_slice(), parent.pair.1.as_bytes()].concat();
                    blobs.write(&blob.root.0, Part::Tree, place * 64, &pair)?;
                }
            }
            BaoContentItem::Leaf(leaf) => blobs.write(&blob.root.0, Part::Data, leaf.offset, &leaf.data)?,
        }
    }
    Ok(true)
}

/// Files that are being fetched.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    running: BTreeMap<(VersionKey, FileKey), Running>,
    cursor: Option<Vec<u8>>,
    more: bool,
    pause_ms: u64,
    paused_until: u64,
    failed_some: bool,
}

#[derive(Debug)]
struct Running {
    transfer: Transfer,
    /// Everything below is durable, and the row says so.
    synced: u64,
    /// The next piece to ask for.
    next: u64,
    /// Pieces asked for, with the time by which they are due.
    asked: BTreeMap<u64, u64>,
    /// Pieces that came before an earlier one.
    ahead: BTreeSet<u64>,
    holder: Option<PeerId>,
    tried: usize,
    not_before: u64,
    /// How often in a row the holder was busy.
    busy: u8,
}

impl Running {
    fn new(transfer: Transfer) -> Self {
        let (asked, ahead) = (BTreeMap::new(), BTreeSet::new());
        let synced = transfer.done;
        Self { transfer, synced, next: transfer.done, asked, ahead, holder: None, tried: 0, not_before: 0, busy: 0 }
    }

    /// The holder is of no use: the next one begins where this one ended.
    fn give_up_holder(&mut self) {
        self.holder = None;
        self.busy = 0;
        self.next = self.transfer.done;
        self.asked.clear();
        self.ahead.clear();
    }
}

impl Transfers {
    /// A peer came, or files were found missing: the walk begins anew, since rows may have come that it passed already.
    pub(crate) fn encouraged(&mut self) {
        self.cursor = None;
        self.more = true;
        self.pause_ms = 0;
        self.paused_until = 0;
    }

    pub(crate) fn disconnected(&mut self, peer: &PeerId) {
        self.running.values_mut().filter(|r| r.holder == Some(*peer)).for_each(Running::give_up_holder);
    }

    pub(crate) fn forget(&mut self, id: &DocumentId) {
        self.running.retain(|(key, _), _| key.id != *id);
        // Rows of other versions may be left.
        self.encouraged();
    }

    pub(crate) fn load(&self) -> usize {
        self.running.len()
    }

    /// It is not to be fetched any more.
    pub(crate) fn remove(&mut self, key: &VersionKey, file: &FileKey) {
        self.running.remove(&(*key, *file));
    }

    /// When something is to be done; `most` may be fetched at a time.
    pub(crate) fn due(&self, now: u64, most: usize) -> Option<u64> {
        let pieces = self.running.values().flat_map(|running| running.asked.values().copied());
        let pauses = self.running.values().map(|running| running.not_before).filter(|at| *at > now);
        let walk = (self.more && self.running.len() < most).then(|| self.paused_until.max(now + 1));
        pieces.chain(pauses).chain(walk).min()
    }
}

/// Says that a version names a file.
pub(crate) fn file_of_row(blob: &Blob, key: &VersionKey) -> Vec<u8> {
    row(Kind::FileOf, &[&blob.root.0, &key.to_bytes()])
}

pub(crate) fn file_row(root: &Hash32) -> Vec<u8> {
    row(Kind::File, &[&root.0])
}

impl Vault {
    /// Whether a file is here whole.
    pub(crate) fn has_file(&self, blob: &Blob) -> Result<bool, VaultError> {
        // Another document may name the same hash with another length: that is no file.
        Ok(blob.bytes == 0 || self.disk.get::<u64>(Table::Vault, &file_row(&blob.root))? == Some(blob.bytes))
    }

    pub(crate) fn answer_piece(
        &mut self,
        from: PeerId,
        key: &VersionKey,
        file: FileKey,
        offset: u64,
    ) -> Result<(), VaultError> {
        let piece = self.piece_for(&from, key, file, offset)?;
        if let Ok(bytes) = &piece {
            self.took(&from, bytes.len());
            self.counters.pieces_sent += 1;
        }
        self.send(from, &Message::Piece { key: *key, file, offset, piece });
        Ok(())
    }

    fn piece_for(
        &mut self,
        from: &PeerId,
        key: &VersionKey,
        file: FileKey,
        offset: u64,
    ) -> Result<Result<Vec<u8>, Refusal>, VaultError> {
        if self.is_erased(&key.id)? {
            return Ok(Err(Refusal::Erased));
        }
        let Some(facts) = self.chain.document(key)? else { return Ok(Err(Refusal::Unknown)) };
        if facts.is_to_be_shredded() {
            return Ok(Err(Refusal::Erased));
        }
        if !self.is_entitled(from, key, &[file.slot].into_iter().collect())? {
            return Ok(Err(Refusal::NotEntitled));
        }
        if !self.may_take(from) {
            return Ok(Err(Refusal::Busy));
        }
        let opened = self.open_copy(key)?.filter(|opened| opened.is_of(&facts));
        let Some(opened) = opened else { return Ok(Err(Refusal::NotHeld)) };
        let blob = opened.copy.files_of(&opened.held.fields).find(|blob| file_key(blob) == file).copied();
        let Some(blob) = blob.filter(|blob| offset.is_multiple_of(PIECE_BYTES) && offset < blob.bytes) else {
            return Ok(Err(Refusal::NotHeld));
        };
        if !self.has_file(&blob)? {
            return Ok(Err(Refusal::NotHeld));
        }
        let to = blob.bytes.min(offset.saturating_add(PIECE_BYTES));
        Ok(match cut_piece(self.blobs.as_ref(), &blob, offset, to) {
            Ok(piece) => piece.ok_or(Refusal::NotHeld),
            Err(error) => {
                self.cannot_read(key, &blob, (offset, to), &error);
                Err(Refusal::Busy)
            }
        })
    }

    /// Which versions wait for a file.
    pub(crate) fn transfers_of(&self, blob: &Blob) -> Result<Vec<(VersionKey, FileKey)>, VaultError> {
        let mut waiting = Vec::new();
        for (at, value) in self.disk.scan(Table::Vault, &[Kind::Transfer as u8], None, usize::MAX)? {
            let transfer: Transfer = read(&value)?;
            if (transfer.blob.root, transfer.blob.bytes) == (blob.root, blob.bytes) {
                waiting.push(place_of(&at)?);
            }
        }
        Ok(waiting)
    }

    /// Asks for pieces of as many files as may be fetched at a time.
    pub(crate) fn pump_transfers(&mut self) -> Result<(), VaultError> {
        self.fill_transfers()?;
        let ready: Vec<_> = self.transfers.running.keys().copied().collect();
        for (key, file) in ready {
            self.ask_pieces(&key, &file)?;
        }
        Ok(())
    }

    fn fill_transfers(&mut self) -> Result<(), VaultError> {
        let room = self.limits.transfers_max.saturating_sub(self.transfers.running.len());
        if !self.transfers.more || self.transfers.paused_until > self.now.steady_ms || room == 0 {
            return Ok(());
        }
        let from = self.transfers.cursor.as_deref().map(above);
        let found = self.disk.scan(Table::Vault, &[Kind::Transfer as u8], from.as_deref(), room)?;
        for (at, value) in &found {
            let place = place_of(at)?;
            let transfer: Transfer = read(value)?;
            self.transfers.running.entry(place).or_insert_with(|| Running::new(transfer));
        }
        if found.len() == room {
            self.transfers.cursor = found.into_iter().next_back().map(|(at, _)| at);
        } else {
            self.transfers.cursor = None;
            let pause = &mut self.transfers.pause_ms;
            *pause = (*pause * 2).clamp(self.limits.retry_min_ms, self.limits.retry_max_ms);
            self.transfers.paused_until = self.now.steady_ms + *pause;
            self.transfers.more = core::mem::take(&mut self.transfers.failed_some);
        }
        Ok(())
    }

    fn ask_pieces(&mut self, key: &VersionKey, file: &FileKey) -> Result<(), VaultError> {
        let now = self.now.steady_ms;
        let Some(running) = self.transfers.running.get(&(*key, *file)) else { return Ok(()) };
        if running.not_before > now {
            return Ok(());
        }
        if running.holder.is_none() {
            let tried = running.tried;
            if !self.is_to_have(key, file)? {
                let mut batch = Batch::new();
                batch.delete(Table::Vault, transfer_row(key, file));
                self.transfers.running.remove(&(*key, *file));
                return self.disk.apply(batch);
            }
            let holder = self.holder_of(key, file, tried)?;
            // What an operator put back, or what lost its tree or its row alone, is here; a part of it comes sooner from others.
            let Transfer { blob, done, end } = running.transfer;
            if (holder.is_none() || (done == 0 && end >= blob.bytes)) && self.looks_here(&blob) {
                return Ok(());
            }
            let Some(running) = self.transfers.running.get_mut(&(*key, *file)) else { return Ok(()) };
            if holder.is_none() {
                // Nobody connected has it; the next walk tries again.
                self.transfers.running.remove(&(*key, *file));
                self.transfers.failed_some = true;
                self.transfers.more = true;
                return Ok(());
            }
            running.tried += 1;
            running.holder = holder;
        }
        let Some(running) = self.transfers.running.get_mut(&(*key, *file)) else { return Ok(()) };
        let Some(holder) = running.holder else { return Ok(()) };
        let mut offsets = Vec::new();
        while running.asked.len() < self.limits.pieces_max && running.next < running.transfer.end {
            running.asked.insert(running.next, now + self.limits.answer_ms);
            offsets.push(running.next);
            running.next = running.next.saturating_add(PIECE_BYTES);
        }
        for offset in offsets {
            self.send(holder, &Message::FetchPiece { key: *key, file: *file, offset });
        }
        Ok(())
    }

    /// Whether this member is still to have a file.
    fn is_to_have(&self, key: &VersionKey, file: &FileKey) -> Result<bool, VaultError> {
        Ok(fields_of(&self.chain.audience(key)?, &self.member).contains(file.slot))
    }

    /// The holder to try after `tried` others.
    fn holder_of(&self, key: &VersionKey, file: &FileKey, tried: usize) -> Result<Option<PeerId>, VaultError> {
        let audience = self.chain.audience(key)?;
        let wanted: FieldSet = [file.slot].into_iter().collect();
        let mut holders: Vec<PeerId> = Vec::new();
        for entitled in audience.members.iter().filter(|e| wanted.is_subset(&e.fields)) {
            holders.extend(self.roster.nodes_of(&entitled.member).iter().filter(|node| self.peers.contains(node)));
        }
        holders.retain(|node| *node != self.own);
        let first = usize::from(key.id.as_bytes()[15] ^ self.own.bytes[0]);
        let chosen = (tried < holders.len()).then(|| holders[(first + tried) % holders.len()]);
        Ok(chosen)
    }

    pub(crate) fn receive_piece(
        &mut self,
        from: PeerId,
        key: &VersionKey,
        file: FileKey,
        offset: u64,
        piece: Result<Vec<u8>, Refusal>,
    ) -> Result<(), VaultError> {
        let Some(running) = self.transfers.running.get_mut(&(*key, file)) else { return Ok(()) };
        if running.holder != Some(from) || running.asked.remove(&offset).is_none() {
            return Ok(());
        }
        let bytes = match piece {
            Ok(bytes) => bytes,
            Err(Refusal::Busy) if running.busy < BUSY_MAX => {
                // Pieces that were asked for together count once.
                running.busy += u8::from(running.not_before <= self.now.steady_ms);
                running.not_before = self.now.steady_ms + BUSY_MS;
                running.next = running.next.min(offset);
                return Ok(());
            }
            Err(_) => {
                running.give_up_holder();
                return Ok(());
            }
        };
        if !take_piece(self.blobs.as_ref(), &running.transfer.blob, offset, &bytes)? {
            running.give_up_holder();
            self.fault(from, "vault.broken_piece");
            return Ok(());
        }
        self.counters.pieces_taken += 1;
        running.busy = 0;
        running.ahead.insert(offset);
        while running.ahead.remove(&running.transfer.done) {
            running.transfer.done = running.transfer.done.saturating_add(PIECE_BYTES);
        }
        // After a busy answer some pieces may be asked for twice; what is there already is not asked for again.
        running.next = running.next.max(running.transfer.done);
        let transfer = running.transfer;
        let is_whole = transfer.done >= transfer.end;
        if !is_whole && transfer.done < running.synced + self.limits.sync_pieces * PIECE_BYTES {
            return Ok(());
        }
        running.synced = transfer.done;
        // No row may say that bytes are here which a crash could still take.
        self.blobs.sync(&transfer.blob.root.0)?;
        let mut batch = Batch::new();
        if !is_whole {
            put(&mut batch, transfer_row(key, &file), &transfer);
            return self.disk.apply(batch);
        }
        self.transfers.running.remove(&(*key, file));
        self.transfers.encouraged();
        self.counters.files_completed += 1;
        put(&mut batch, file_row(&transfer.blob.root), &transfer.blob.bytes);
        self.disk.apply(batch)?;
        self.file_complete(key, &file)
    }

    /// Pieces that did not come in time: the holder is given up.
    pub(crate) fn expire_pieces(&mut self) {
        let now = self.now.steady_ms;
        let late = |running: &&mut Running| running.asked.values().any(|until| *until <= now);
        self.transfers.running.values_mut().filter(late).for_each(Running::give_up_holder);
    }

    /// Checks the files of a version from a place on, a bounded number of bytes. Returns where to go on; `None` at the end.
    pub(crate) fn check_files(
        &mut self,
        key: &VersionKey,
        from: Option<(FileKey, u64)>,
    ) -> Result<Option<(FileKey, u64)>, VaultError> {
        let Some(opened) = self.open_copy(key)? else { return Ok(None) };
        let mut files: Vec<Blob> = opened.copy.files_of(&opened.held.fields).copied().collect();
        files.sort_by_key(file_key);
        let mut left = self.limits.scrub_bytes;
        for blob in files {
            let file = file_key(&blob);
            let mut at = match from {
                Some((place, _)) if file < place => continue,
                Some((place, offset)) if file == place => offset,
                _ => 0,
            };
            if !self.has_file(&blob)? {
                if opened.held.pending.contains(file.slot) {
                    // It may have been put back.
                    self.upkeep.forget_look(&blob.root);
                    self.transfers.encouraged();
                } else {
                    // It was said to be here whole, and is not: it is fetched anew.
                    self.damaged(key, Place::File { file, from: 0, to: blob.bytes })?;
                }
                continue;
            }
            while at < blob.bytes {
                if left == 0 {
                    return Ok(Some((file, at)));
                }
                let to = blob.bytes.min(at.saturating_add(PIECE_BYTES));
                if self.check_range(key, &blob, at, to)? == Checked::Unreadable {
                    break;
                }
                self.counters.file_bytes_checked += to - at;
                left = left.saturating_sub(to - at);
                at = to;
            }
        }
        Ok(None)
    }

    /// Checks a range that begins with a group, and on a difference every group in it. What is damaged is fetched anew.
    pub(crate) fn check_range(
        &mut self,
        key: &VersionKey,
        blob: &Blob,
        from: u64,
        to: u64,
    ) -> Result<Checked, VaultError> {
        match damage_within(self.blobs.as_ref(), blob, from, to) {
            Ok(None) => Ok(Checked::Intact),
            Ok(Some((from, to))) => {
                self.damaged(key, Place::File { file: file_key(blob), from, to })?;
                Ok(Checked::Damaged(from, to))
            }
            Err(error) => {
                self.cannot_read(key, blob, (from, to), &error);
                Ok(Checked::Unreadable)
            }
        }
    }

    /// A range of a file is to be fetched anew.
    pub(crate) fn file_damaged(
        &mut self,
        key: &VersionKey,
        file: &FileKey,
        from: u64,
        to: u64,
    ) -> Result<(), VaultError> {
        let Some(opened) = self.open_copy(key)? else { return Ok(()) };
        let found = opened.copy.files_of(&opened.held.fields).find(|blob| file_key(blob) == *file).copied();
        let Some(blob) = found else { return Ok(()) };
        let waiting = transfer_row(key, file);
        let mut transfer = Transfer { blob, done: from / PIECE_BYTES * PIECE_BYTES, end: to };
        if let Some(old) = self.disk.get::<Transfer>(Table::Vault, &waiting)? {
            transfer.done = transfer.done.min(old.done);
            transfer.end = transfer.end.max(old.end);
        }
        let mut held = opened.held;
        held.pending.insert(file.slot);
        let mut batch = Batch::new();
        put(&mut batch, waiting, &transfer);
        batch.delete(Table::Vault, file_row(&blob.root));
        self.write_held(key, &held, &mut batch)?;
        self.disk.apply(batch)?;
        self.transfers.running.remove(&(*key, *file));
        self.transfers.encouraged();
        Ok(())
    }

    /// A version names a file no more: it goes, unless another version does. Whoever may read a document knows the hashes of
    /// its files and can name them in one of its own, whose end must not be theirs.
    pub(crate) fn remove_file(&mut self, key: &VersionKey, blob: &Blob, batch: &mut Batch) -> Result<(), VaultError> {
        let own = file_of_row(blob, key);
        let rows = self.disk.scan(Table::Vault, &row(Kind::FileOf, &[&blob.root.0]), None, 2)?;
        let is_anothers = rows.iter().any(|(at, _)| *at != own);
        batch.delete(Table::Vault, own);
        if is_anothers {
            return Ok(());
        }
        batch.delete(Table::Vault, file_row(&blob.root));
        self.upkeep.remove_later(batch, blob.root.0);
        Ok(())
    }
}
