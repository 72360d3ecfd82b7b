//! Every role × relationship × category × field × action against a table written from the clause, not from the code.
//!
//! G 4.9.4, in our words: (a) an enterprise's contracts, transactions, invoices and risk data are shared within that
//! enterprise, the institutions serving it, and regulators; (b) a person's identity, contracts, transactions, invoices and
//! risk data within that person, the institutions serving them, the enterprises that actually received the service, and
//! regulators; (c) regulators may view, audit and supervise. All as needed: a field's readers narrow it further.

use super::{world::*, *};

/// What one member, or the person, is to data in the three kinds of document. In each cell: the letters of a reader's
/// classes, O owner, I institution, E enterprise that received, R regulator, P party; `*` is the issuer, who reads all.
struct Row {
    who: &'static str,
    /// Relationship, for the reader of this table.
    stands: &'static str,
    /// A document of the person alone.
    person: &'static str,
    /// A document of the enterprise `works` alone.
    enterprise: &'static str,
    /// A document of both: the person's fields, the enterprise's fields, fields of both.
    both: [&'static str; 3],
}

const fn row(
    who: &'static str,
    stands: &'static str,
    person: &'static str,
    enterprise: &'static str,
    both: [&'static str; 3],
) -> Row {
    Row { who, stands, person, enterprise, both }
}

const TABLE: [Row; 21] = [
    row("person", "the person, with their own key", "OP", "", ["OP", "P", "OP"]),
    row("bureau", "issuer; serves both", "*", "*", ["*", "*", "*"]),
    row("union", "institution that serves the person", "I", "", ["I", "", "I"]),
    row("agency", "institution that serves the enterprise", "", "I", ["", "I", "I"]),
    row("lapsed", "institution whose service of both is ended", "", "", ["", "", ""]),
    row("courting", "institution that has only offered its service to both", "", "", ["", "", ""]),
    row("later", "institution that serves both from tomorrow", "", "", ["", "", ""]),
    row("idle", "institution that serves others", "", "", ["", "", ""]),
    row("gone", "institution that serves both and is suspended", "", "", ["", "", ""]),
    row("works", "the enterprise; received the service; named as the one", "E", "OP", ["EP", "OP", "EOP"]),
    row("mills", "enterprise that received the person's service in another matter", "E", "", ["", "", ""]),
    row("once", "enterprise whose receiving is ended", "", "", ["", "", ""]),
    row("shop", "enterprise that never received it", "", "", ["", "", ""]),
    row("hub", "platform that serves the person", "I", "", ["I", "", "I"]),
    row("market", "platform that received the person's service in another matter", "E", "", ["", "", ""]),
    row("tax", "regulator of everyone", "R", "R", ["R", "R", "R"]),
    row("office", "regulator of the issuer", "R", "R", ["R", "R", "R"]),
    row("district", "regulator of another enterprise", "", "", ["", "", ""]),
    row("former", "regulator whose watch is ended", "", "", ["", "", ""]),
    row("silent", "regulator that watches nobody", "", "", ["", "", ""]),
    row("stranger", "no member at all", "", "", ["", "", ""]),
];

const PERSON: u8 = 7;
const DAY: u64 = 86_400_000;

/// The relationships that the table's second column tells.
fn world() -> (World, vouch_types::SecretKey) {
    let mut world = World::new();
    let secret = world.register_person_with_key("bureau", person(PERSON), 3);
    let subject = Party::of_subject(person(PERSON));
    let enterprise = Party::of_member("works");
    world.serve("bureau", enterprise.clone());
    world.serve("union", subject.clone());
    world.serve("hub", subject.clone());
    world.serve("agency", enterprise.clone());
    for member in ["lapsed", "gone"] {
        let numbers = [world.serve(member, subject.clone()), world.serve(member, enterprise.clone())];
        if member == "lapsed" {
            numbers.into_iter().for_each(|number| world.end("lapsed", number));
        }
    }
    world.offer(serves("courting", subject.clone()));
    world.offer(serves("courting", enterprise.clone()));
    let tomorrow = Some(world.kit.time_ms + DAY);
    for (party, accepts) in [(subject, own_account(&secret)), (enterprise, account("works", "all"))] {
        let number = world.offer(relations::NewRelationship { from_ms: tomorrow, ..serves("later", party) });
        world.relations(|kit| {
            kit.sign_as(accepts);
            kit.call::<_, ()>("answer", (vec![number], true)).unwrap();
        });
    }
    world.register_person("idle", person(99));
    for member in ["works", "mills", "market"] {
        world.receive(member, person(PERSON));
    }
    let number = world.receive("once", person(PERSON));
    world.end("once", number);
    world.watch("tax", None);
    world.watch("office", Some("bureau"));
    world.watch("district", Some("mills"));
    let number = world.watch("former", None);
    world.end("former", number);
    world.advance(1000);
    world.set_active("gone", false);
    (world, secret)
}

const LETTERS: [(char, u8); 5] = [('O', 1), ('I', 2), ('E', 4), ('R', 8), ('P', 16)];
const CATEGORIES: [Category; 5] =
    [Category::Identity, Category::Contract, Category::Transaction, Category::Invoice, Category::Risk];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Enterprise,
    Both,
}

/// A document of each category and kind; an identity has one owner.
fn documents() -> Vec<(u8, Category, Kind)> {
    let mut all = Vec::new();
    for category in CATEGORIES {
        for kind in [Kind::Person, Kind::Enterprise, Kind::Both] {
            if category != Category::Identity || kind != Kind::Both {
                all.push((all.len() as u8 + 1, category, kind));
            }
        }
    }
    all
}

/// Every set of readers, for each owner's data.
fn all_fields(category: Category, kind: Kind) -> Vec<FieldRule> {
    let abouts: &[Option<&str>] = match kind {
        Kind::Person => &[Some("worker"), None],
        Kind::Enterprise => &[Some("client"), None],
        Kind::Both => &[Some("worker"), Some("client"), None],
    };
    let mut fields = Vec::new();
    for about in abouts {
        for readers in 0..32u8 {
            if category != Category::Identity || readers & 16 == 0 {
                fields.push(field(&format!("f{}", fields.len()), readers % 4 + 1, readers, *about));
            }
        }
    }
    fields
}

fn submit_all(world: &mut World) {
    for (n, category, kind) in documents() {
        let worker = PartyRule { owner: true, ..party_rule("worker", true, 0) };
        let named = kind == Kind::Both;
        let client = PartyRule { owner: true, recipient: named, ..party_rule("client", false, 5) };
        let (rules, parties) = match kind {
            Kind::Person => (vec![worker], vec![entry("worker", Party::of_subject(person(PERSON)))]),
            Kind::Enterprise => (vec![client], vec![entry("client", Party::of_member("works"))]),
            Kind::Both => (
                vec![worker, client],
                vec![entry("worker", Party::of_subject(person(PERSON))), entry("client", Party::of_member("works"))],
            ),
        };
        let name = format!("schema{n}");
        world.register_schema(definition(&name, category, all_fields(category, kind), rules));
        issued_by(n, "bureau");
        world.by::<_, u64>("bureau", "submit", (id(n), name, content(n, parties))).unwrap();
    }
}

/// What the table lets somebody read.
fn expected(row: &Row, category: Category, kind: Kind) -> Vec<u8> {
    let fields = all_fields(category, kind);
    records::field_set::collect(fields.len() as u16, |slot| {
        let field = &fields[usize::from(slot)];
        let cell = match (kind, field.about.as_deref()) {
            (Kind::Person, _) => row.person,
            (Kind::Enterprise, _) => row.enterprise,
            (Kind::Both, Some("worker")) => row.both[0],
            (Kind::Both, Some(_)) => row.both[1],
            (Kind::Both, None) => row.both[2],
        };
        cell == "*" || LETTERS.iter().any(|(letter, bit)| cell.contains(*letter) && field.readers & bit != 0)
    })
}

/// All letters of a row in a kind of document.
fn letters(row: &Row, kind: Kind) -> String {
    match kind {
        Kind::Person => row.person.into(),
        Kind::Enterprise => row.enterprise.into(),
        Kind::Both => row.both.concat(),
    }
}

fn asker(row: &Row, secret: &vouch_types::SecretKey, role: &str) -> Account {
    match row.who {
        "person" => own_account(secret),
        "stranger" => Account([0xee; 32]),
        member => account(member, role),
    }
}

#[test]
fn reading_is_allowed_exactly_where_the_table_says() {
    let (mut world, secret) = world();
    submit_all(&mut world);
    let mut checked = 0;
    for (n, category, kind) in documents() {
        for row in &TABLE {
            let wanted = expected(row, category, kind);
            for role in ROLES.into_iter().chain(["none", "all"]) {
                let may = world.may(asker(row, &secret, role), Action::Read, n, 1, "any-purpose");
                let reads = matches!(role, "reader" | "all") || row.who == "person";
                let wanted = if reads { wanted.clone() } else { Vec::new() };
                let place = format!("{} ({}), {role}, {category:?} {kind:?}: {}", row.who, row.stands, may.reason);
                assert_eq!(may.fields.0, wanted, "{place}");
                assert_eq!(may.allowed, !wanted.is_empty(), "{place}");
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 14 * 21 * 7);
}

#[test]
fn the_audience_is_exactly_the_members_that_the_table_lets_read() {
    let (mut world, _) = world();
    submit_all(&mut world);
    for (n, category, kind) in documents() {
        let audience = world.audience(n, 1);
        assert!(audience.keys.is_empty());
        let given: Vec<(String, Vec<u8>)> =
            audience.members.into_iter().map(|entitled| (entitled.member, entitled.fields.0)).collect();
        let mut wanted: Vec<(String, Vec<u8>)> = TABLE
            .iter()
            .filter(|row| !matches!(row.who, "person" | "stranger"))
            .map(|row| (row.who.to_owned(), expected(row, category, kind)))
            .filter(|(_, fields)| !fields.is_empty())
            .collect();
        wanted.sort();
        assert_eq!(given, wanted, "{category:?} {kind:?}");
    }
}

/// Which letters an action needs, and which role of an account: written down here on its own.
const ACTIONS: [(Action, &str, &str); 9] = [
    (Action::Revise, "*", "submitter"),
    (Action::Sign, "", "approver"),
    (Action::Judge, "OIERP*", "approver service"),
    (Action::Revoke, "*", "approver"),
    (Action::Grant, "OI*", "approver"),
    (Action::Dispute, "OIEP*", "approver"),
    (Action::Erase, "OI*", "approver"),
    (Action::Hold, "R", "approver"),
    (Action::Audit, "OIR*", "auditor"),
];

#[test]
fn every_other_action_is_allowed_exactly_where_the_table_says() {
    let (mut world, secret) = world();
    submit_all(&mut world);
    for (n, _, kind) in documents() {
        for row in &TABLE {
            for (action, needs, roles) in ACTIONS {
                for role in ROLES.into_iter().chain(["none", "all"]) {
                    let may = world.may(asker(row, &secret, role), action, n, 1, "");
                    let fits = letters(row, kind).chars().any(|letter| needs.contains(letter));
                    let speaks = row.who == "person" || role == "all" || roles.split(' ').any(|one| one == role);
                    let place = format!("{} {role} {action:?} {kind:?}: {}", row.who, may.reason);
                    assert_eq!(may.allowed, fits && speaks, "{place}");
                    assert!(may.fields.0.is_empty(), "{place}");
                }
            }
        }
    }
}

#[test]
fn a_person_stays_a_person_whoever_registers_their_key() {
    let (mut world, secret) = world();
    submit_all(&mut world);
    let own = own_account(&secret);
    let row = TABLE.iter().find(|row| row.who == "person").unwrap();
    // As somebody with all roles, and as an administrator, who has none; of a member that may see much, or nothing.
    for (member, role, roles) in
        [("shop", "enterprise", &ROLES[..]), ("works", "enterprise", &[][..]), ("tax", "regulator", &ROLES[..])]
    {
        world.add_account(own, member, role, roles);
        for (n, category, kind) in documents().into_iter().filter(|(_, _, kind)| *kind != Kind::Enterprise) {
            let place = format!("as an account of {member}: {category:?} {kind:?}");
            let may = world.may(own, Action::Read, n, 1, "any-purpose");
            assert_eq!(may.fields.0, expected(row, category, kind), "{place}");
            assert_eq!(may.actor, Some(Party::of_subject(person(PERSON))), "{place}");
            for (action, needs, _) in ACTIONS {
                let fits = letters(row, kind).chars().any(|letter| needs.contains(letter));
                assert_eq!(world.may(own, action, n, 1, "").allowed, fits, "{place} {action:?}");
            }
        }
    }
    // And it is not only asked: they object.
    world.decide::<_, ()>("set_arbiters", (vec!["court".to_owned()],)).unwrap();
    let claim = (id(1), 1u32, "court".to_owned(), "wrong-amount".to_owned(), Hash([1; 32]));
    let number: u64 = world.call(own, "open_dispute", claim).unwrap();
    let dispute: Option<Dispute> = world.kit.call("dispute", (number,)).unwrap();
    assert_eq!(dispute.unwrap().by, Party::of_subject(person(PERSON)));
}

/// A change of relationships changes the rights at once, in both directions.
#[test]
fn rights_follow_the_relationships() {
    let (mut world, secret) = world();
    submit_all(&mut world);
    let reads = |world: &mut World, member: &str| {
        !world.may(account(member, "reader"), Action::Read, 1, 1, "any").fields.0.is_empty()
    };
    assert!(reads(&mut world, "union") && !reads(&mut world, "lapsed") && !reads(&mut world, "later"));
    let again = world.serve("lapsed", Party::of_subject(person(PERSON)));
    assert!(reads(&mut world, "lapsed"));
    world.end("lapsed", again);
    assert!(!reads(&mut world, "lapsed"));
    world.advance(DAY);
    assert!(reads(&mut world, "later"), "its time has come");
    world.set_active("gone", true);
    assert!(reads(&mut world, "gone"));
    assert!(world.audience(1, 1).members.iter().any(|entitled| entitled.member == "gone"));
    // The person ends the service of an institution with their own key.
    let served: Vec<relations::RelationshipEntry> =
        world.relations(|kit| kit.call("list_party", (Party::of_subject(person(PERSON)), 0u64, 50u32))).unwrap();
    let union = served.iter().find(|entry| entry.relationship.member == "union").unwrap();
    world.relations(|kit| {
        kit.sign_as(own_account(&secret));
        kit.call::<_, ()>("end", (vec![union.relationship.id],)).unwrap();
    });
    assert!(!reads(&mut world, "union"));
}

#[test]
fn purposes_narrow_what_the_rules_open() {
    let (mut world, secret) = world();
    let purpose = |code: &str, readers: u8, grade: u8| PurposeRule {
        code: code.into(),
        title_en: code.into(),
        title_zh: code.into(),
        readers,
        grade,
    };
    let worker = PartyRule { owner: true, ..party_rule("worker", true, 0) };
    let fields = (1..=4).map(|grade| field(&format!("g{grade}"), grade, 31, None)).collect();
    let mut schema = definition("risk", Category::Risk, fields, vec![worker]);
    schema.purposes = vec![purpose("own", 1, 4), purpose("settlement", 2, 3), purpose("supervision", 8, 4)];
    world.register_schema(schema);
    let parties = vec![entry("worker", Party::of_subject(person(PERSON)))];
    issued_by(1, "bureau");
    world.by::<_, u64>("bureau", "submit", (id(1), "risk".to_owned(), content(1, parties))).unwrap();
    let mut reads = |account: Account, purpose: &str| {
        let may = world.may(account, Action::Read, 1, 1, purpose);
        (may.fields.0, may.reason)
    };
    let nothing = || (vec![], "purpose_not_allowed".to_owned());
    let ok = |bits: u8| (vec![bits], "ok".to_owned());
    let union = account("union", "reader");
    assert_eq!(reads(union, "settlement"), ok(0b0111));
    assert_eq!(reads(union, "own"), nothing());
    assert_eq!(reads(union, "curiosity"), nothing());
    assert_eq!(reads(own_account(&secret), "own"), ok(0b1111));
    assert_eq!(reads(own_account(&secret), "settlement"), nothing());
    assert_eq!(reads(account("tax", "reader"), "supervision"), ok(0b1111));
    assert_eq!(reads(account("works", "reader"), "settlement"), nothing());
    assert_eq!(reads(account("bureau", "reader"), "settlement"), ok(0b0111));
    assert_eq!(reads(account("shop", "reader"), "settlement"), (vec![], "not_entitled".to_owned()));
}

#[test]
fn may_says_why_not() {
    let (mut world, _) = world();
    submit_all(&mut world);
    let mut why = |account: Account, action: Action, n: u8, version: u32| {
        let may = world.may(account, action, n, version, "any");
        assert!(!may.allowed);
        may.reason
    };
    let union = account("union", "reader");
    assert_eq!(why(union, Action::Read, 200, 1), "unknown_document");
    assert_eq!(why(union, Action::Read, 1, 2), "unknown_version");
    assert_eq!(why(account("gone", "reader"), Action::Read, 1, 1), "unknown_account");
    assert_eq!(why(account("union", "approver"), Action::Read, 1, 1), "role_missing");
    assert_eq!(why(account("idle", "reader"), Action::Read, 1, 1), "not_entitled");
    assert_eq!(why(account("mills", "approver"), Action::Sign, 1, 1), "not_entitled");
    assert_eq!(why(account("union", "approver"), Action::Sign, 1, 1), "state");
    let strange: Decision = world.kit.call("may", (union, Action::Read, Bytes(vec![1]), 1u32, String::new())).unwrap();
    assert_eq!(strange.reason, "unknown_document");
}
