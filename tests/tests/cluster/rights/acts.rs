//! What members do with documents: everybody tries everything, and what is allowed has its effect on the chain.

use std::time::Duration;

use serde_json::{Value, json};
use vouch_sdk::{Error, ListQuery, NewGrant, TransactionBuilder};
use vouch_tests::{
    cluster::until,
    private::{Desk, House, code_of},
};
use vouch_types::{
    AccountId, ContractName, Hash32,
    document::{self, DocumentId, Effect, ErasureState, FieldSet, VersionState},
    relation::RelationKind,
};

use super::{
    Kept, alias, draft,
    world::{ACTIONS, ARBITER, DOCUMENTS, INSTITUTION, MEMBERS, OWNER, PARTY, SERVING, WATCHING, Whom},
};

pub const NOT_ENTITLED: &str = "contract.error.not_entitled";
const ROLE_MISSING: &str = "contract.error.role_missing";
/// How long what is granted may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);
/// Accounts of a member beyond the one with all roles, and what each may do.
const ROLES: [&[&str]; 5] = [&["reader"], &["submitter"], &["approver"], &["auditor"], &[]];
/// What an account without any role hears from the interface.
const ROLELESS: &str = "caller.forbidden";
/// One document of each category, in which the roles of accounts are tried.
const OF_EACH_CATEGORY: [usize; 5] = [0, 5, 7, 9, 11];

/// The document that everybody tries to revise; the others are revised by their issuers alone.
pub const REVISED_BY_ALL: usize = 4;

/// What was done with a document.
pub struct Acted {
    pub cells: usize,
    /// Who was given something beyond the rules.
    pub given: Vec<(usize, DocumentId)>,
}

/// An action as a call. `fields` is what is granted, `grantee` to whom.
pub fn call(
    builder: TransactionBuilder,
    kept: &Kept,
    action: &str,
    (grantee, fields): (&str, &FieldSet),
    arbiter: &str,
) -> TransactionBuilder {
    let (id, version) = (kept.id, kept.version);
    match action {
        "accept" => builder.judge_document(id, version, true, "checked"),
        "reject" => builder.judge_document(id, version, false, "differs"),
        "revoke" => builder.revoke_document(id, "withdrawn"),
        "grant" => builder.grant_document(id, version, &granted(grantee, fields)),
        "dispute" => builder.open_dispute(id, version, arbiter, "unpaid", Hash32([7; 32])),
        "erase" => builder.request_erasure(id, "consent_withdrawn"),
        "hold" => builder.set_hold(id, "inquiry"),
        other => panic!("no call for {other}"),
    }
}

fn granted(grantee: &str, fields: &FieldSet) -> NewGrant {
    NewGrant { member: Some(grantee.into()), fields: fields.clone(), purpose: "credit".into(), ..NewGrant::default() }
}

/// The first field that somebody may see that has a value, with its slot.
pub fn first_open(kept: &Kept, reader: impl Into<Whom>) -> (String, FieldSet) {
    let opened = kept.judged.opened(reader, None);
    let is_open = |(_, field): &(u16, &Value)| {
        let name = field["name"].as_str().unwrap();
        opened.contains(name) && kept.values.contains_key(name)
    };
    let (slot, field) = (0u16..).zip(kept.judged.fields()).find(is_open).unwrap();
    (field["name"].as_str().unwrap().to_owned(), [slot].into_iter().collect())
}

/// Members that the table lets do something.
fn allowed(kept: &Kept, action: &str) -> Vec<usize> {
    let (_, needs, _) = ACTIONS.iter().find(|row| row.0 == action).unwrap();
    (0..MEMBERS).filter(|member| kept.judged.lets(*member, *needs)).collect()
}

/// The result of an action as a code; `ok` when it was done.
pub async fn tried(house: &House, desk: &Desk, kept: &Kept, action: &str) -> String {
    if action == "audit" {
        return match desk.client.read_audit(Some(kept.id), &ListQuery::default()).await {
            Ok(_) => "ok".into(),
            Err(error) => code_of(&error),
        };
    }
    let arbiter = house.desk(ARBITER).member.clone();
    let first = FieldSet::first(1);
    let done = desk.attempt(|builder| call(builder, kept, action, (&arbiter, &first), &arbiter)).await.unwrap();
    done.map_or_else(|code| code, |_| "ok".into())
}

fn place(house: &House, kept: &Kept, member: usize, action: &str) -> String {
    format!("{}: {}", house.desk(member).member, named(Whom::Member(member), kept, action))
}

pub fn named(who: Whom, kept: &Kept, action: &str) -> String {
    format!("{who:?}: {action} of {} {}", kept.judged.planned.schema, kept.id)
}

/// Waits until the node that is asked has every block that a member's node has by now.
async fn caught_up(house: &House, asked: usize) {
    let mut head = 0;
    for member in 0..MEMBERS {
        head = head.max(house.desk(member).client.status().await.unwrap().head.0);
    }
    let has = async || Ok((house.desk(asked).client.status().await?.head.0 >= head).then_some(()));
    until("the node has caught up", PATIENCE, has).await.unwrap();
}

async fn version(house: &House, kept: &Kept) -> document::Version {
    caught_up(house, 0).await;
    house.desk(0).client.document_version(kept.id, kept.version).await.unwrap().unwrap()
}

pub async fn chain_document(house: &House, kept: &Kept) -> document::Document {
    caught_up(house, 0).await;
    house.desk(0).client.document(kept.id).await.unwrap().unwrap()
}

/// A version that waits is signed by those who have to sign and by nobody else; a person's word is brought by who serves them.
pub async fn sign(house: &House, kept: &Kept) -> usize {
    let (id, number, signers) = (kept.id, kept.version, kept.judged.signers());
    let mut cells = 0;
    assert_eq!(version(house, kept).await.state, VersionState::Pending);
    for member in 0..MEMBERS {
        let desk = house.desk(member);
        for signer in &signers {
            let code = match signer {
                Whom::Person(person) if !kept.judged.in_force(RelationKind::Serves, member, *signer) => {
                    let alias = alias(*person);
                    desk.attempt(|builder| builder.sign_document_for(id, number, alias, None)).await.unwrap().err()
                }
                _ => continue,
            };
            assert_eq!(code.as_deref(), Some(NOT_ENTITLED), "{}", place(house, kept, member, "sign for a person"));
            cells += 1;
        }
        if !signers.contains(&Whom::Member(member)) {
            let concerned = kept.judged.bits(member) & (OWNER | PARTY | SERVING) != 0;
            let wanted = if concerned { "contract.error.not_a_signer" } else { NOT_ENTITLED };
            let code = desk.attempt(|builder| builder.sign_document(id, number)).await.unwrap().err();
            assert_eq!(code.as_deref(), Some(wanted), "{}", place(house, kept, member, "sign"));
            cells += 1;
        }
    }
    for signer in signers {
        assert_eq!(version(house, kept).await.state, VersionState::Pending);
        match signer {
            Whom::Member(member) => house.desk(member).send(|builder| builder.sign_document(id, number)).await.unwrap(),
            Whom::Person(person) => {
                let alias = alias(person);
                house
                    .desk(INSTITUTION)
                    .send(|builder| builder.sign_document_for(id, number, alias, None))
                    .await
                    .unwrap()
            }
            Whom::Everyone => panic!("everyone signs nothing"),
        };
        cells += 1;
    }
    assert_eq!(version(house, kept).await.state, VersionState::Effective);
    cells
}

/// An account without the role that an action needs does it nowhere, whatever its member may.
pub async fn roles(house: &House, kept: &[Kept]) -> usize {
    let mut desks: Vec<Vec<Desk>> = Vec::new();
    let system = ContractName::new("system").unwrap();
    let abi = house.desk(0).client.abi(&system).await.unwrap();
    let admins = house.cluster.admins().unwrap();
    for (member, admin) in admins.iter().enumerate().take(MEMBERS) {
        let further: Vec<Desk> = (1..=ROLES.len()).map(|number| house.further_desk(member, number).unwrap()).collect();
        let mut builder = house.desk(member).client.transaction_builder().await.unwrap();
        for (desk, roles) in further.iter().zip(ROLES) {
            let account: AccountId = desk.key.public().account();
            let arguments = json!({ "account": account, "roles": roles });
            builder = builder.call_json(&abi, system.clone(), "set_account_roles", &arguments).unwrap();
        }
        let transaction = builder.sign(&[admin]).unwrap();
        let view = house.cluster.submit(member, &transaction).await.unwrap();
        assert_eq!(view.receipt.outcome, vouch_types::api::OutcomeView::Success);
        desks.push(further);
    }
    let tries = (0..MEMBERS).flat_map(|member| (0..ROLES.len()).map(move |role| (member, role)));
    let tries = tries.map(|(member, role)| {
        // Every document meets every role, and every member every action in every role.
        let desk = &desks[member][role];
        async move {
            let mut cells = 0;
            for (at, (action, needs, role_needed)) in ACTIONS.iter().enumerate() {
                let kept = &kept[OF_EACH_CATEGORY[(member + role + at) % OF_EACH_CATEGORY.len()]];
                let (fits, may) = (ROLES[role].contains(role_needed), kept.judged.lets(member, *needs));
                let wanted = match (*action, may, fits) {
                    ("audit", true, true) => "ok",
                    ("audit", ..) if ROLES[role].is_empty() => ROLELESS,
                    ("audit", ..) => "vault.not_allowed",
                    // Its effects are looked at elsewhere.
                    (_, true, true) => continue,
                    (_, true, false) => ROLE_MISSING,
                    (_, false, _) => NOT_ENTITLED,
                };
                let code = tried(house, desk, kept, action).await;
                assert_eq!(code, wanted, "{} as {:?}", place(house, kept, member, action), ROLES[role]);
                cells += 1;
            }
            for place in OF_EACH_CATEGORY {
                let kept = &kept[place];
                let purposes = kept.judged.purposes().iter();
                let mut opening = purposes.filter(|purpose| !kept.judged.opened(member, Some(purpose)).is_empty());
                let purpose = opening.next().map_or("own", |purpose| purpose["code"].as_str().unwrap());
                let is_open = !kept.judged.opened(member, None).is_empty() && ROLES[role] == ["reader"];
                let read = desk.read(kept.id, kept.version, None, purpose).await.unwrap();
                let wanted = match ROLES[role] {
                    [] => Some(ROLELESS),
                    _ if is_open => None,
                    _ => Some("vault.not_allowed"),
                };
                assert_eq!(read.err().as_deref(), wanted, "{} reads as {:?}", desk.member, ROLES[role]);
                cells += 1;
            }
            cells
        }
    });
    futures::future::join_all(tries).await.into_iter().sum()
}

/// Everything that may be done with a document and leaves it standing; first all that may not.
pub async fn all(house: &House, kept: &Kept) -> Acted {
    let mut cells = 0;
    for (action, needs, _) in ACTIONS {
        let refused = (0..MEMBERS).filter(|member| !kept.judged.lets(*member, *needs));
        let tries = refused.map(|member| async move {
            let wanted = if *action == "audit" { "vault.not_allowed" } else { NOT_ENTITLED };
            let code = tried(house, house.desk(member), kept, action).await;
            assert_eq!(code, wanted, "{}", place(house, kept, member, action));
        });
        cells += futures::future::join_all(tries).await.len();
    }
    for member in allowed(kept, "audit") {
        assert_eq!(
            tried(house, house.desk(member), kept, "audit").await,
            "ok",
            "{}",
            place(house, kept, member, "audit")
        );
        cells += 1;
    }
    cells += judge(house, kept).await + hold(house, kept).await + erase(house, kept).await;
    let mut given = Vec::new();
    cells += grant(house, kept, &mut given).await + dispute(house, kept, &mut given).await;
    Acted { cells, given }
}

/// Each of these members does it, and none is refused.
async fn all_do(house: &House, kept: &Kept, members: &[usize], action: &str) {
    for member in members {
        let done = tried(house, house.desk(*member), kept, action).await;
        assert_eq!(done, "ok", "{}", place(house, kept, *member, action));
    }
}

async fn judge(house: &House, kept: &Kept) -> usize {
    let members = allowed(kept, "accept");
    all_do(house, kept, &members, "accept").await;
    let count = u32::try_from(members.len()).unwrap();
    let found = version(house, kept).await;
    assert_eq!((found.accepted, found.rejected), (count, 0));
    all_do(house, kept, &members, "reject").await;
    let found = version(house, kept).await;
    assert_eq!((found.accepted, found.rejected, found.state), (0, count, VersionState::Effective));
    2 * members.len()
}

async fn hold(house: &House, kept: &Kept) -> usize {
    let members = allowed(kept, "hold");
    all_do(house, kept, &members, "hold").await;
    assert_eq!(chain_document(house, kept).await.holds as usize, members.len());
    for member in &members {
        let desk = house.desk(*member);
        desk.send(|builder| builder.lift_hold(kept.id, &desk.member)).await.unwrap();
    }
    assert_eq!(chain_document(house, kept).await.holds, 0);
    members.len()
}

/// The law forbids to erase these yet: what is asked for restricts the document, and only who watches reads on.
async fn erase(house: &House, kept: &Kept) -> usize {
    let mut cells = 0;
    for (at, member) in allowed(kept, "erase").into_iter().enumerate() {
        let desk = house.desk(member);
        assert_eq!(tried(house, desk, kept, "erase").await, "ok", "{}", place(house, kept, member, "erase"));
        assert_eq!(chain_document(house, kept).await.erasure, ErasureState::Restricted);
        if at == 0 {
            for reader in 0..MEMBERS {
                caught_up(house, reader).await;
                let read = house.desk(reader).read(kept.id, kept.version, None, "supervision").await.unwrap();
                let watches = kept.judged.bits(reader) & WATCHING != 0;
                assert_eq!(read.is_ok(), watches, "{}", place(house, kept, reader, "read while restricted"));
                cells += 1;
            }
        }
        desk.send(|builder| builder.withdraw_erasure(kept.id)).await.unwrap();
        assert_eq!(chain_document(house, kept).await.erasure, ErasureState::None);
        cells += 1;
    }
    cells
}

/// Waits until a reading succeeds and compares it.
async fn reads(house: &House, kept: &Kept, reader: usize, name: &str, purpose: &str) {
    let what = place(house, kept, reader, "read what was given");
    let read =
        until(&what, PATIENCE, async || Ok(house.desk(reader).read(kept.id, kept.version, None, purpose).await?.ok()));
    let read = read.await.unwrap();
    assert_eq!(read.get(name), kept.values.get(name), "{what}");
    assert_eq!(read.len(), 1, "{what}: {:?}", read.keys());
}

async fn reads_nothing(house: &House, kept: &Kept, reader: usize, purpose: &str) {
    caught_up(house, reader).await;
    let read = house.desk(reader).read(kept.id, kept.version, None, purpose).await.unwrap();
    let what = place(house, kept, reader, "read what is not given any more");
    assert_eq!(read.err().as_deref(), Some("vault.not_allowed"), "{what}");
}

async fn grant(house: &House, kept: &Kept, given: &mut Vec<(usize, DocumentId)>) -> usize {
    let grantee =
        (0..MEMBERS).find(|member| *member != ARBITER && kept.judged.opened(*member, None).is_empty()).unwrap();
    let grantee_name = house.desk(grantee).member.clone();
    let members = allowed(kept, "grant");
    for (at, member) in members.iter().enumerate() {
        let desk = house.desk(*member);
        let (name, fields) = first_open(kept, *member);
        let number = desk.number(|builder| call(builder, kept, "grant", (&grantee_name, &fields), "")).await.unwrap();
        if at == 0 {
            reads(house, kept, grantee, &name, "credit").await;
            reads_nothing(house, kept, grantee, "own").await;
            // Who was given something gives nothing on.
            let onwards =
                house.desk(grantee).attempt(|builder| call(builder, kept, "grant", (&desk.member, &fields), ""));
            assert_eq!(onwards.await.unwrap().err().as_deref(), Some(NOT_ENTITLED));
        }
        desk.send(|builder| builder.end_grant(number)).await.unwrap();
    }
    reads_nothing(house, kept, grantee, "credit").await;
    given.push((grantee, kept.id));
    members.len() + 4
}

async fn dispute(house: &House, kept: &Kept, given: &mut Vec<(usize, DocumentId)>) -> usize {
    let arbiter = house.desk(ARBITER);
    let members = allowed(kept, "dispute");
    for (at, member) in members.iter().enumerate() {
        let desk = house.desk(*member);
        let number =
            desk.number(|builder| call(builder, kept, "dispute", ("", &FieldSet::new()), &arbiter.member)).await;
        let number = number.unwrap_or_else(|error| panic!("{}: {error}", place(house, kept, *member, "dispute")));
        assert_eq!(chain_document(house, kept).await.disputes, 1);
        if at > 0 {
            desk.send(|builder| builder.withdraw_dispute(number)).await.unwrap();
            continue;
        }
        let (name, fields) = first_open(kept, *member);
        reads_nothing(house, kept, ARBITER, "dispute").await;
        desk.send(|builder| builder.add_evidence(number, kept.id, kept.version, fields)).await.unwrap();
        reads(house, kept, ARBITER, &name, "dispute").await;
        let rule =
            |builder: TransactionBuilder| builder.rule_dispute(number, Effect::Upheld, "as_agreed", Hash32([8; 32]));
        assert_eq!(desk.attempt(rule).await.unwrap().err().as_deref(), Some("contract.error.not_arbiter"));
        arbiter.send(rule).await.unwrap();
        reads_nothing(house, kept, ARBITER, "dispute").await;
        given.push((ARBITER, kept.id));
    }
    assert_eq!(chain_document(house, kept).await.disputes, 0);
    members.len() + 4
}

/// What ends a version: a new one, and taking it back; last come first, so that nothing stands on what is taken back.
pub async fn endings(house: &House, kept: &[Kept]) -> usize {
    let mut cells = 0;
    for (place_of, one) in kept.iter().enumerate().rev() {
        let issuer = one.judged.planned.issuer;
        if one.judged.signers().is_empty() && DOCUMENTS[place_of].references.is_empty() {
            let draft = draft(house, kept, place_of);
            for member in (0..MEMBERS).filter(|member| *member == issuer || place_of == REVISED_BY_ALL) {
                let desk = house.desk(member);
                let revised = desk.client.revise_document(one.id, &draft, &desk.key).await;
                let what = place(house, one, member, "revise");
                match revised {
                    Ok(revised) => assert_eq!((member, revised.version), (issuer, 2), "{what}"),
                    Err(error @ (Error::Refused { .. } | Error::Failed { .. })) => {
                        let code = code_of(&error);
                        assert_eq!((member != issuer, &*code), (true, "contract.error.not_issuer"), "{what}");
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
                cells += 1;
            }
        }
        house.desk(issuer).send(|builder| builder.revoke_document(one.id, "withdrawn")).await.unwrap();
        let latest = chain_document(house, one).await.latest;
        let state = house.desk(0).client.document_version(one.id, latest).await.unwrap().unwrap().state;
        assert_eq!(state, VersionState::Revoked, "{}", place(house, one, issuer, "revoke"));
        cells += 1;
    }
    cells
}
