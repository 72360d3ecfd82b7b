//! What `documents` asks `relations`: who stands around the owners of a document.

use vouch_contract::{String, Vec, record};

/// Bits of what a member is to a party.
pub mod tie {
    /// It manages and serves the party.
    pub const SERVES: u8 = 1;
    /// It received the party's service.
    pub const RECEIVES: u8 = 2;
    /// The party is a person who is registered and not closed.
    pub const OPEN: u8 = 4;
}

record! {
    /// Who stands around one party.
    pub struct Around = ("Around a party", "当事方周边") {
        /// Members that serve it, ascending.
        pub institutions: Vec<String> = ("Institutions", "管理与服务机构"),
        /// Members that received its service, ascending.
        pub recipients: Vec<String> = ("Recipients", "接受服务的企业"),
    }
}

record! {
    /// Who stands around several parties.
    pub struct Surroundings = ("Surroundings", "周边关系") {
        /// One for each party asked for, in the same order.
        pub parties: Vec<Around> = ("Parties", "当事方"),
        /// Members that watch over one of the members asked for or over everyone, ascending.
        pub regulators: Vec<String> = ("Regulators", "监管机构"),
    }
}

record! {
    /// What one member is to several parties.
    pub struct Ties = ("Ties", "关系") {
        /// Bits for each party asked for, in the same order: 1 serves, 2 received its service, 4 the party is an open person.
        pub parties: Vec<u8> = ("Parties", "当事方"),
        /// Whether it watches over one of the members asked for or over everyone.
        pub regulates: bool = ("Regulates", "监管"),
    }
}
