//! Erasure member by member: held back by a hold, then attested by each holder in a block; one whose node stands still is named
//! when the deadline has passed, at every node concerned, and makes good for it when it comes back.

use std::time::Duration;

use serde_json::json;
use vouch_sdk::DocumentDraft;
use vouch_tests::{
    cluster::{Options, until},
    private::{House, Records, sample_schema},
};
use vouch_types::{
    ContractName, SubjectId,
    api::{ErasureProgressView, QueryBody},
    document::{self, DocumentId, ErasureStanding, ErasureState, MemberErasure, Party, PartyEntry},
    relation::RelationKind,
};

const PLATFORM: usize = 0;
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;
const REGULATOR: usize = 3;

const PATIENCE: Duration = Duration::from_secs(90);
/// The schema of the document: no law keeps it.
const SCHEMA: &str = "short-lived-identity";

/// A document about a person that institution, enterprise and regulator hold. The members give a minute for erasures.
async fn prepare(house: &House) -> DocumentId {
    let mut schema = sample_schema("worker-identity");
    (schema["name"], schema["retention_days"]) = (json!(SCHEMA), json!(0));
    house.register_schema(&schema).await.unwrap();
    house.decide(document::CONTRACT, "set_erasure_minutes", &json!({ "minutes": 1 })).await.unwrap();
    let person = SubjectId(Records::new(rand::random()).bytes());
    house.register_persons(INSTITUTION, &[person]).await.unwrap();
    house.relate(RelationKind::Receives, ENTERPRISE, Party::subject(person), INSTITUTION).await.unwrap();
    house.watch(REGULATOR, Party::default()).await.unwrap();
    let draft = DocumentDraft {
        schema: SCHEMA.into(),
        values: Records::new(rand::random()).record(&schema),
        parties: vec![PartyEntry { role: "worker".into(), party: Party::subject(person) }],
        ..DocumentDraft::default()
    };
    let id = house.desk(INSTITUTION).submit(&draft).await.unwrap().id;
    house.all_hold(&[(id, 1)]).await.unwrap();
    // Who holds it goes on being concerned under a hold: all three have said so on the chain.
    let documents = ContractName::new(document::CONTRACT).unwrap();
    let arguments = json!({ "id": id, "after_member": "", "after_version": 0, "limit": 10 });
    until("all three attest that they hold it", PATIENCE, async || {
        let body = QueryBody { arguments: arguments.clone(), ..QueryBody::default() };
        let holders = house.desk(PLATFORM).client.query(&documents, "holders", body).await?.value;
        Ok(holders.and_then(|holders| (holders.as_array()?.len() == 3).then_some(())))
    })
    .await
    .unwrap();
    id
}

async fn progress(house: &House, id: DocumentId) -> ErasureProgressView {
    // A node of a member that has no part in it tells the same, as soon as it has the blocks.
    house.caught_up(PLATFORM, INSTITUTION).await.unwrap();
    house.desk(PLATFORM).client.erasure_progress(id).await.unwrap()
}

fn of<'a>(house: &House, progress: &'a ErasureProgressView, member: usize) -> &'a MemberErasure {
    let name = &house.desk(member).member;
    progress.members.iter().find(|of| of.member == *name).unwrap_or_else(|| panic!("{name}: {progress:?}"))
}

fn standings(house: &House, progress: &ErasureProgressView) -> [ErasureStanding; 3] {
    assert_eq!(progress.members.len(), 3, "{progress:?}");
    [INSTITUTION, ENTERPRISE, REGULATOR].map(|member| of(house, progress, member).standing)
}

/// What the command line says, and its exit code.
async fn shown(house: &House, id: DocumentId) -> (i32, String) {
    let id = id.to_string();
    let arguments = ["--lang", "en", "doc", "erasure-status", &id];
    let output = house.cluster.vouch(PLATFORM, &arguments).await.unwrap();
    (output.code, output.stdout)
}

/// Under a regulator's hold it is asked for, and nobody destroys anything.
async fn a_hold_keeps_it(house: &House, id: DocumentId) {
    use ErasureStanding::{Held, Kept};
    assert_eq!(standings(house, &progress(house, id).await), [Kept; 3]);
    house.desk(REGULATOR).send(|builder| builder.set_hold(id, "court-case")).await.unwrap();
    house.caught_up(INSTITUTION, REGULATOR).await.unwrap();
    house.desk(INSTITUTION).send(|builder| builder.request_erasure(id, "consent_withdrawn")).await.unwrap();
    let held = progress(house, id).await;
    assert_eq!((held.state, standings(house, &held)), (ErasureState::Restricted, [Held; 3]));
    assert_eq!((held.holds[0].member.as_str(), held.holds[0].code.as_str()), ("regulator", "court-case"));
    let (code, text) = shown(house, id).await;
    assert!(code == 0 && text.contains("legal hold: regulator (court-case)"), "{text}");
}

/// Two of three attest at once, each in a block that holds the event; the third has time.
async fn two_attest(house: &House, id: DocumentId) {
    use ErasureStanding::{Attested, Outstanding};
    let done = until("both nodes that run attest", PATIENCE, async || {
        let now = progress(house, id).await;
        let are_done =
            now.state == ErasureState::Ordered && standings(house, &now) == [Attested, Outstanding, Attested];
        Ok(are_done.then_some(now))
    })
    .await
    .unwrap();
    for member in [INSTITUTION, REGULATOR] {
        let MemberErasure { attested, late, receipt, .. } = of(house, &done, member);
        let (height, client) = (attested.unwrap().height, &house.desk(PLATFORM).client);
        let events = client.block_transactions(Some(height), &vouch_sdk::ListQuery::default()).await.unwrap().items;
        let name = &house.desk(member).member;
        let is_it = |event: &vouch_types::api::EventView| {
            event.name == "ErasureAttested"
                && event.fields.as_ref().is_some_and(|fields| fields["member"] == name.as_str())
        };
        assert!(events.iter().flat_map(|tx| &tx.events).any(is_it), "{name} in block {height}");
        let statement = house.desk(member).client.erasure_statement(id).await.unwrap();
        assert_eq!((Some(statement.digest), *late), (*receipt, false));
    }
    let (code, text) = shown(house, id).await;
    assert!(code == 0 && text.contains("has not attested yet") && text.contains("attested at height"), "{text}");
    let condition = house.cluster.status(INSTITUTION).await.unwrap().condition;
    assert_eq!(condition.code, "ok", "there is time: {condition:?}");
}

/// The deadline passes: it is closed by the issuer's node, and who is silent is named wherever it concerns somebody.
async fn the_third_is_named(house: &House, id: DocumentId) {
    use ErasureStanding::{Attested, Overdue};
    let wanted = format!("{id}: enterprise");
    for member in [INSTITUTION, REGULATOR] {
        let condition = until("the condition names who is overdue", PATIENCE, async || {
            let condition = house.cluster.status(member).await?.condition;
            Ok((condition.code == "documents.erasure_overdue").then_some(condition))
        })
        .await
        .unwrap();
        assert_eq!(condition.missing, [wanted.as_str()]);
        let metrics = house.desk(member).client.metrics().await.unwrap();
        assert!(metrics.contains("vouch_vault_overdue_erasures{member=\"enterprise\"} 1\n"), "{metrics}");
    }
    assert_eq!(house.cluster.status(PLATFORM).await.unwrap().condition.code, "ok", "it is no matter of the platform");
    let closed = until("the erasure is closed", PATIENCE, async || {
        let now = progress(house, id).await;
        Ok((now.state == ErasureState::Erased).then_some(now))
    })
    .await
    .unwrap();
    assert_eq!(standings(house, &closed), [Attested, Overdue, Attested]);
    assert_eq!(closed.record.unwrap().missing, ["enterprise"]);
    let (code, text) = shown(house, id).await;
    assert!(code == 6 && text.contains("OVERDUE: has not attested by the deadline"), "{code}: {text}");
    let status = house.cluster.vouch(INSTITUTION, &["--lang", "en", "status"]).await.unwrap();
    assert!(status.stdout.contains("documents.erasure_overdue") && status.stdout.contains(&wanted), "{status:?}");
}

/// It runs again, destroys what it had, and says so; then nobody is named any more.
async fn it_makes_good(house: &House, id: DocumentId) {
    let late = until("it attests after all", PATIENCE, async || {
        let now = progress(house, id).await;
        Ok((of(house, &now, ENTERPRISE).standing == ErasureStanding::Attested).then_some(now))
    })
    .await
    .unwrap();
    assert!(of(house, &late, ENTERPRISE).late);
    assert_eq!(late.record.as_ref().unwrap().missing, ["enterprise"], "that it was late stays");
    let (code, text) = shown(house, id).await;
    assert!(code == 0 && text.contains("attested after the deadline at height"), "{code}: {text}");
    for member in [INSTITUTION, REGULATOR, ENTERPRISE] {
        until("nobody is named any more", PATIENCE, async || {
            let code = house.cluster.status(member).await?.condition.code;
            let metrics = house.desk(member).client.metrics().await?;
            Ok((code == "ok" && !metrics.contains("vouch_vault_overdue_erasures{")).then_some(()))
        })
        .await
        .unwrap();
    }
    let refused = house.desk(ENTERPRISE).read(id, 1, None, "service").await.unwrap();
    assert_eq!(refused.unwrap_err(), "vault.erased");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_that_stands_still_is_named_when_the_deadline_has_passed() {
    let options = Options { accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
    let mut house = House::open(options).await.unwrap();
    let id = prepare(&house).await;
    a_hold_keeps_it(&house, id).await;
    house.cluster.stop(ENTERPRISE).await.unwrap();
    house.desk(REGULATOR).send(|builder| builder.lift_hold(id, "regulator")).await.unwrap();
    two_attest(&house, id).await;
    the_third_is_named(&house, id).await;
    house.cluster.start_node(ENTERPRISE).unwrap();
    house.cluster.ready(&[PLATFORM, INSTITUTION, ENTERPRISE, REGULATOR]).await.unwrap();
    it_makes_good(&house, id).await;
}
