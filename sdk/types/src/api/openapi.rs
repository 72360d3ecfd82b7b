//! Schemas of the words that are text or a number in JSON.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr,
        schema::{KnownFormat, Schema, SchemaFormat, Type},
    },
};

use super::{Cursor, HexBytes, Language};
use crate::{
    document::{DocumentId, FieldSet},
    hash::{
        AccountId, BlockHash, ChainId, CodeHash, DocumentRoot, EventsRoot, Hash32, NodeId, OutputHash, ReceiptsRoot,
        StateRoot, SubjectId, TransactionsRoot, TxId, ValidatorsHash,
    },
    keys::{PublicKey, Signature},
    numbers::{Fuel, Height, Power, Round, TimestampMs},
    transaction::ContractName,
};

fn text(pattern: &str, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).description(Some(description)).build().into()
}

fn number(format: KnownFormat, description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(format)))
        .minimum(Some(0))
        .description(Some(description))
        .build()
        .into()
}

macro_rules! schemas {
    ($($name:ident => $schema:expr),* $(,)?) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                $schema
            }
        }
        impl ToSchema for $name {}
    )*};
}

const DIGEST: &str = "^[0-9a-f]{64}$";

schemas! {
    Hash32 => text(DIGEST, "32 bytes"),
    ChainId => text(DIGEST, "The chain: hash of its genesis header"),
    BlockHash => text(DIGEST, "A block: hash of its header"),
    TxId => text(DIGEST, "A transaction: hash of its body"),
    AccountId => text(DIGEST, "An account: hash of its public key"),
    NodeId => text(DIGEST, "A node: hash of its consensus key"),
    CodeHash => text(DIGEST, "A contract's code"),
    TransactionsRoot => text(DIGEST, "Merkle root over a block's transactions"),
    ReceiptsRoot => text(DIGEST, "Merkle root over a block's receipts"),
    EventsRoot => text(DIGEST, "Merkle root over a transaction's events"),
    OutputHash => text(DIGEST, "Hash of what a transaction returned"),
    StateRoot => text(DIGEST, "Root of the state after a block"),
    ValidatorsHash => text(DIGEST, "A validator set"),
    SubjectId => text(DIGEST, "A person as one institution knows them"),
    DocumentRoot => text(DIGEST, "Root of a document version's commitment"),
    DocumentId => text("^[0-9a-f]{32}$", "A document"),
    FieldSet => text("^([0-9a-f]{2})*$", "Slots: slot i is bit i % 8 of byte i / 8, the least significant first"),
    PublicKey => text("^ed25519:[0-9a-f]{64}$", "A public key"),
    Signature => text("^[0-9a-f]{128}$", "A signature"),
    HexBytes => text("^([0-9a-f]{2})*$", "Bytes in hexadecimal"),
    ContractName => text("^[a-z][a-z0-9._-]{0,31}$", "A contract's name"),
    Cursor => text("^[0-9]+-[0-9]+$", "A place in the feed: HEIGHT-INDEX"),
    Language => text("^(en|zh)$", "A language"),
    Height => number(KnownFormat::Int64, "Position of a block; the first is 1"),
    TimestampMs => number(KnownFormat::Int64, "Milliseconds since 1970-01-01T00:00:00Z"),
    Power => number(KnownFormat::Int64, "Voting power"),
    Fuel => number(KnownFormat::Int64, "Metered work"),
    Round => number(KnownFormat::Int32, "Attempt at one height, from 0"),
}
