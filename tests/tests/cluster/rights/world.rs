//! Who is what to whom, which documents there are, and what G 4.9.4 opens of them: written as data from the clause.
//!
//! In our words: (a) an enterprise's contracts, transactions, invoices and risk data are shared within that enterprise, the
//! institutions serving it, and regulators; (b) a person's identity, contracts, transactions, invoices and risk data within that
//! person, the institutions serving them, the enterprises that actually received the service, and regulators; (c) regulators may
//! view, audit and supervise. All as needed: a field's readers and the purpose stated narrow it further.

use std::collections::BTreeSet;

use serde_json::Value;
use vouch_tests::private::sample_schema;
use vouch_types::relation::RelationKind;

/// Members in the order of the plan: two of each role.
pub const PLATFORM: usize = 0;
pub const INSTITUTION: usize = 1;
pub const ENTERPRISE: usize = 2;
pub const REGULATOR: usize = 3;
pub const PLATFORM_2: usize = 4;
pub const INSTITUTION_2: usize = 5;
pub const ENTERPRISE_2: usize = 6;
pub const REGULATOR_2: usize = 7;
pub const MEMBERS: usize = 8;
/// Persons, all of them registered by the institution.
pub const PERSONS: usize = 3;
/// Has no part in any document, and is appointed as arbiter.
pub const ARBITER: usize = PLATFORM_2;

/// Whose data it is, and whom a relationship concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whom {
    Person(usize),
    Member(usize),
    /// For a regulator.
    Everyone,
}

impl From<usize> for Whom {
    fn from(member: usize) -> Self {
        Self::Member(member)
    }
}

/// How a relationship stands. One that is in no row was never there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    InForce,
    Offered,
    Ended,
}

use RelationKind::{Receives, Regulates, Serves};
use Standing::{Ended, InForce, Offered};
use Whom::{Everyone, Member, Person};

/// Every relationship beside the institution's own service of the persons it registered.
pub const RELATIONSHIPS: &[(RelationKind, usize, Whom, Standing)] = &[
    (Serves, INSTITUTION_2, Person(0), InForce),
    (Serves, INSTITUTION_2, Person(1), Ended),
    (Serves, PLATFORM, Person(0), Offered),
    (Serves, PLATFORM, Person(1), InForce),
    (Serves, PLATFORM, Person(2), Ended),
    (Receives, PLATFORM_2, Person(0), InForce),
    (Receives, PLATFORM_2, Person(1), Ended),
    (Receives, ENTERPRISE, Person(0), InForce),
    (Receives, ENTERPRISE, Person(1), InForce),
    (Receives, ENTERPRISE, Person(2), Ended),
    (Receives, ENTERPRISE_2, Person(1), InForce),
    (Receives, ENTERPRISE_2, Person(2), Offered),
    (Serves, INSTITUTION, Member(ENTERPRISE), InForce),
    (Serves, INSTITUTION, Member(ENTERPRISE_2), Ended),
    (Serves, INSTITUTION_2, Member(ENTERPRISE), Ended),
    (Serves, INSTITUTION_2, Member(ENTERPRISE_2), InForce),
    (Serves, PLATFORM, Member(ENTERPRISE), InForce),
    (Serves, PLATFORM_2, Member(ENTERPRISE), Offered),
    (Serves, PLATFORM_2, Member(ENTERPRISE_2), Ended),
    (Regulates, REGULATOR, Member(INSTITUTION), InForce),
    (Regulates, REGULATOR, Member(INSTITUTION_2), Ended),
    (Regulates, REGULATOR_2, Member(ENTERPRISE_2), InForce),
    (Regulates, REGULATOR_2, Everyone, Ended),
];

/// A document: schema, issuer, parties, and what it names by place in [`DOCUMENTS`].
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    pub schema: &'static str,
    pub issuer: usize,
    pub parties: &'static [(&'static str, Whom)],
    pub references: &'static [(&'static str, usize)],
}

const fn planned(
    schema: &'static str,
    issuer: usize,
    parties: &'static [(&'static str, Whom)],
    references: &'static [(&'static str, usize)],
) -> Planned {
    Planned { schema, issuer, parties, references }
}

const FIRST: &[(&str, Whom)] =
    &[("worker", Person(0)), ("client", Member(ENTERPRISE)), ("institution", Member(INSTITUTION))];
const SECOND: &[(&str, Whom)] =
    &[("worker", Person(1)), ("client", Member(ENTERPRISE_2)), ("institution", Member(INSTITUTION_2))];

/// Each category, of persons and of members, in an order in which they can be submitted.
pub const DOCUMENTS: &[Planned] = &[
    planned("worker-identity", INSTITUTION, &[("worker", Person(0))], &[]),
    planned("worker-identity", INSTITUTION, &[("worker", Person(1))], &[]),
    planned("worker-identity", INSTITUTION, &[("worker", Person(2))], &[]),
    planned("enterprise-identity", INSTITUTION, &[("enterprise", Member(ENTERPRISE))], &[]),
    planned("enterprise-identity", INSTITUTION_2, &[("enterprise", Member(ENTERPRISE_2))], &[]),
    planned("service-contract", INSTITUTION, FIRST, &[("worker_identity", 0), ("client_identity", 3)]),
    planned("service-contract", INSTITUTION_2, SECOND, &[("worker_identity", 1), ("client_identity", 4)]),
    planned("service-transaction", INSTITUTION, FIRST, &[("contract", 5)]),
    planned("service-transaction", INSTITUTION_2, SECOND, &[("contract", 6)]),
    planned(
        "service-invoice",
        INSTITUTION,
        &[("buyer", Member(ENTERPRISE)), ("seller", Member(INSTITUTION))],
        &[("transaction", 7)],
    ),
    planned(
        "service-invoice",
        INSTITUTION_2,
        &[("buyer", Member(ENTERPRISE_2)), ("seller", Member(INSTITUTION_2))],
        &[("transaction", 8)],
    ),
    planned("risk-finding", INSTITUTION, &[("about", Person(0))], &[("identity", 0)]),
    planned("risk-finding", INSTITUTION, &[("about", Person(2))], &[("identity", 2)]),
    planned("risk-finding", INSTITUTION, &[("about", Member(ENTERPRISE))], &[("identity", 3)]),
    planned("risk-finding", INSTITUTION_2, &[("about", Member(ENTERPRISE_2))], &[("identity", 4)]),
];

/// Bits of a field's readers.
pub const OWNER: u8 = 1;
pub const SERVING: u8 = 2;
pub const RECEIVED: u8 = 4;
pub const WATCHING: u8 = 8;
pub const PARTY: u8 = 16;

/// What somebody has to be to whose data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tie {
    Itself,
    Serves,
    Received,
    Watches,
}

/// The three rules: clause, whether the data is a person's, what one has to be, and the bit that lets one read a field.
const RULES: &[(char, bool, Tie, u8)] = &[
    ('a', false, Tie::Itself, OWNER),
    ('a', false, Tie::Serves, SERVING),
    ('c', false, Tie::Watches, WATCHING),
    ('b', true, Tie::Itself, OWNER),
    ('b', true, Tie::Serves, SERVING),
    ('b', true, Tie::Received, RECEIVED),
    ('c', true, Tie::Watches, WATCHING),
];

/// The clauses that the rules are of.
pub fn clauses() -> BTreeSet<char> {
    RULES.iter().map(|rule| rule.0).collect()
}

/// A document with its definition, and more relationships than the table has.
#[derive(Debug, Clone)]
pub struct Judged {
    pub planned: Planned,
    pub definition: Value,
    /// Relationships that came into force later.
    pub later: Vec<(RelationKind, usize, Whom)>,
}

impl Judged {
    pub fn new(planned: Planned) -> Self {
        Self { planned, definition: sample_schema(planned.schema), later: Vec::new() }
    }

    pub fn in_force(&self, kind: RelationKind, member: usize, whom: Whom) -> bool {
        let registered = kind == Serves && member == INSTITUTION && matches!(whom, Person(_));
        let listed = RELATIONSHIPS.contains(&(kind, member, whom, InForce));
        registered || listed || self.later.contains(&(kind, member, whom))
    }

    pub fn fields(&self) -> &[Value] {
        self.definition["fields"].as_array().unwrap()
    }

    pub fn purposes(&self) -> &[Value] {
        self.definition["purposes"].as_array().unwrap()
    }

    fn rule_of(&self, role: &str) -> &Value {
        self.definition["parties"].as_array().unwrap().iter().find(|rule| rule["role"] == role).unwrap()
    }

    fn parties_where(&self, what: &str) -> Vec<(&'static str, Whom)> {
        let parties = self.planned.parties.iter().copied();
        parties.filter(|(role, _)| self.rule_of(role)[what] == true).collect()
    }

    pub fn signers(&self) -> Vec<Whom> {
        self.parties_where("signs").into_iter().map(|(_, whom)| whom).collect()
    }

    fn watches(&self, reader: Whom) -> bool {
        let Member(member) = reader else { return false };
        let watched = self.planned.parties.iter().map(|(_, whom)| *whom).chain([Member(self.planned.issuer), Everyone]);
        let registered = self.parties_where("owner").iter().any(|(_, whom)| matches!(whom, Person(_)));
        let watched = watched.chain(registered.then_some(Member(INSTITUTION)));
        watched.filter(|whom| !matches!(whom, Person(_))).any(|whom| self.in_force(Regulates, member, whom))
    }

    fn holds(&self, tie: Tie, reader: Whom, owner: Whom) -> bool {
        // Ties are between members and owners; a person is tied to what is their own.
        let tied = |kind| matches!(reader, Member(member) if self.in_force(kind, member, owner));
        match tie {
            Tie::Itself => owner == reader,
            Tie::Serves => tied(Serves),
            Tie::Received => {
                let named = self.parties_where("recipient");
                let counts = named.is_empty() || named.iter().any(|(_, whom)| *whom == reader);
                counts && tied(Receives)
            }
            Tie::Watches => self.watches(reader),
        }
    }

    /// Bits of what somebody is to data of one owner.
    fn bits_to(&self, reader: Whom, owner: Whom) -> u8 {
        let is_person = matches!(owner, Person(_));
        let rules = RULES.iter().filter(|rule| rule.1 == is_person && self.holds(rule.2, reader, owner));
        let named = self.planned.parties.iter().any(|(_, whom)| *whom == reader);
        rules.fold(if named { PARTY } else { 0 }, |bits, rule| bits | rule.3)
    }

    /// Bits of what somebody is to the document at all.
    pub fn bits(&self, reader: impl Into<Whom>) -> u8 {
        let reader = reader.into();
        self.parties_where("owner").iter().fold(0, |bits, (_, owner)| bits | self.bits_to(reader, *owner))
    }

    /// Whether somebody may see a field, for a purpose of the schema or for whatever purpose.
    pub fn opens(&self, reader: impl Into<Whom>, field: &Value, purpose: Option<&Value>) -> bool {
        let reader = reader.into();
        let number = |value: &Value, key: &str| u8::try_from(value[key].as_u64().unwrap()).unwrap();
        let (may_state, grade) = purpose.map_or((u8::MAX, 4), |p| (number(p, "readers"), number(p, "grade")));
        if number(field, "grade") > grade {
            return false;
        }
        let about = |role: &str| field["about"].as_str().is_none_or(|about| about == role);
        let owners = self.parties_where("owner").into_iter().filter(|(role, _)| about(role));
        let opened = owners.fold(0, |bits, (_, owner)| bits | self.bits_to(reader, owner));
        Member(self.planned.issuer) == reader || opened & number(field, "readers") & may_state != 0
    }

    /// Names of the fields that somebody may see.
    pub fn opened(&self, reader: impl Into<Whom>, purpose: Option<&Value>) -> BTreeSet<String> {
        let reader = reader.into();
        let open = self.fields().iter().filter(|field| self.opens(reader, field, purpose));
        open.map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// What somebody does beside reading: what they have to be (bits; `ISSUER` too), and the account's role.
pub const ISSUER: u8 = 32;
/// Any field that is open will do.
pub const READER_OF_SOME: u8 = 64;
pub const ACTIONS: &[(&str, u8, &str)] = &[
    ("accept", READER_OF_SOME, "approver"),
    ("reject", READER_OF_SOME, "approver"),
    ("revoke", ISSUER, "approver"),
    ("grant", OWNER | SERVING | ISSUER, "approver"),
    ("dispute", OWNER | SERVING | RECEIVED | PARTY | ISSUER, "approver"),
    ("erase", OWNER | SERVING | ISSUER, "approver"),
    ("hold", WATCHING, "approver"),
    ("audit", OWNER | SERVING | ISSUER | WATCHING, "auditor"),
];

impl Judged {
    /// Whether the rules let somebody do something.
    pub fn lets(&self, who: impl Into<Whom>, needs: u8) -> bool {
        let who = who.into();
        let issuer = if Member(self.planned.issuer) == who { ISSUER } else { 0 };
        let reads = if self.opened(who, None).is_empty() { 0 } else { READER_OF_SOME };
        (self.bits(who) | issuer | reads) & needs != 0
    }
}
