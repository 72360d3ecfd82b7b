//! Disputes, from the claim to what a ruling does.

use super::{
    lifecycle::{parties, sign_all, submit, world as lifecycle_world},
    world::*,
    *,
};

fn world() -> World {
    let mut world = lifecycle_world();
    submit(&mut world, 1).unwrap();
    sign_all(&mut world, 1, 1);
    world.decide::<_, ()>("set_arbiters", (vec!["court", "district"],)).unwrap();
    world
}

fn open(world: &mut World, member: &str) -> Result<u64, CallFailure> {
    world.by(member, "open_dispute", (id(1), 1u32, "court", "price", Hash([1; 32])))
}

fn arbiter_reads(world: &mut World, purpose: &str) -> Vec<u8> {
    world.may(account("court", "reader"), Action::Read, 1, 1, purpose).fields.0
}

#[test]
fn arbiters_are_the_members_decision() {
    let mut world = world();
    assert_eq!(code(world.by::<_, ()>("court", "set_arbiters", (vec!["court"],))), "not_decided");
    for bad in [vec!["district", "court"], vec!["court", "court"]] {
        assert_eq!(code(world.decide::<_, ()>("set_arbiters", (bad,))), "bad_arbiter");
    }
    assert_eq!(code(world.decide::<_, ()>("set_arbiters", (vec!["nobody"],))), "unknown_party");
    assert_eq!(world.kit.call::<_, Vec<String>>("arbiters", ()), Ok(vec!["court".into(), "district".into()]));
    // Not appointed; a party of the document; suspended.
    world.decide::<_, ()>("set_arbiters", (vec!["court", "union"],)).unwrap();
    for arbiter in ["tax", "union"] {
        let claim = (id(1), 1u32, arbiter, "price", Hash([1; 32]));
        assert_eq!(code(world.by::<_, u64>("works", "open_dispute", claim)), "bad_arbiter");
    }
    world.set_active("court", false);
    assert_eq!(code(open(&mut world, "works")), "bad_arbiter");
}

#[test]
fn evidence_opens_to_the_arbiter_alone_and_only_while_it_lasts() {
    let mut world = world();
    let number = open(&mut world, "works").unwrap();
    assert_eq!(world.document(1).disputes, 1);
    assert_eq!(arbiter_reads(&mut world, "dispute"), [0u8; 0], "the claim alone opens nothing");
    world.by::<_, ()>("works", "add_evidence", (number, id(1), 1u32, fields(&[1]))).unwrap();
    world.by::<_, ()>("union", "answer_dispute", (number, Hash([2; 32]))).unwrap();
    world.by::<_, ()>("union", "add_evidence", (number, id(1), 1u32, fields(&[0, 1]))).unwrap();
    assert_eq!(arbiter_reads(&mut world, "dispute"), [0b011]);
    assert_eq!(arbiter_reads(&mut world, "tax"), [0u8; 0]);
    let district = world.may(account("district", "reader"), Action::Read, 1, 1, "dispute");
    assert!(!district.allowed, "another arbiter sees nothing");
    let audience = world.audience(1, 1);
    let court = audience.members.iter().find(|e| e.member == "court").unwrap();
    assert_eq!((court.fields.clone(), court.basis), (fields(&[0, 1]), class::ARBITER));
    world.by::<_, ()>("court", "rule", (number, Effect::Upheld, "no-case", Hash([3; 32]))).unwrap();
    assert_eq!(arbiter_reads(&mut world, "dispute"), [0u8; 0]);
    assert!(!world.audience(1, 1).members.iter().any(|e| e.member == "court"));
    let document = world.document(1);
    assert_eq!((document.disputes, document.effective, document.correction), (0, Some(1), false));
    let dispute: Dispute = world.kit.call::<_, Option<Dispute>>("dispute", (number,)).unwrap().unwrap();
    assert_eq!((dispute.state, dispute.answers.len(), dispute.evidence.len()), (DisputeState::Ruled, 1, 2));
    assert_eq!(dispute.ruling.unwrap().code, "no-case");
    assert_eq!(code(world.by::<_, ()>("works", "add_evidence", (number, id(1), 1u32, fields(&[1])))), "wrong_state");
    assert_eq!((world.kit.events::<Disputed>().len(), world.kit.events::<Ruled>().len()), (1, 1));
}

#[test]
fn asking_for_erasure_silences_no_side() {
    let mut world = world();
    let number = open(&mut world, "works").unwrap();
    let asked = world.by::<_, ErasureState>("union", "request_erasure", (id(1), "requested"));
    assert_eq!(asked, Ok(ErasureState::Restricted), "the dispute holds it back");
    world.by::<_, ()>("union", "answer_dispute", (number, Hash([2; 32]))).unwrap();
    world.by::<_, ()>("works", "add_evidence", (number, id(1), 1u32, fields(&[1]))).unwrap();
    assert_eq!(arbiter_reads(&mut world, "dispute"), [0b010]);
    assert_eq!(code(world.by::<_, ()>("mills", "add_evidence", (number, id(1), 1u32, fields(&[1])))), "not_entitled");
    let claim = (id(1), 1u32, "court", "price", Hash([1; 32]));
    assert_eq!(code(world.by::<_, u64>("works", "open_dispute", claim)), "erasure", "no new one");
    world.by::<_, ()>("works", "withdraw_dispute", (number,)).unwrap();
    world.by::<_, ()>("works", "order_erasure", (id(1),)).unwrap();
    assert_eq!(world.document(1).erasure, ErasureState::Ordered);
}

#[test]
fn rulings_act_on_the_document() {
    let mut world = world();
    let number = open(&mut world, "works").unwrap();
    world.by::<_, ()>("court", "rule", (number, Effect::Corrected, "price-wrong", Hash([3; 32]))).unwrap();
    assert!(world.document(1).correction);
    assert_eq!(world.document(1).effective, Some(1));
    world.by::<_, u32>("union", "revise", (id(1), Hash([1; 32]), content(2, parties()))).unwrap();
    assert!(world.document(1).correction, "until the corrected version takes effect");
    sign_all(&mut world, 1, 2);
    assert!(!world.document(1).correction);
    let claim = (id(1), 2u32, "court", "void", Hash([1; 32]));
    let number: u64 = world.by("union", "open_dispute", claim).unwrap();
    world.by::<_, ()>("court", "rule", (number, Effect::Annulled, "void", Hash([3; 32]))).unwrap();
    let version = world.version(1, 2);
    assert_eq!(version.state, VersionState::Annulled);
    assert_eq!(version.ending.unwrap().by, Party::of_member("court"));
    assert_eq!(world.document(1).effective, None);
    // An annulled document may be issued anew.
    assert_eq!(world.by::<_, u32>("union", "revise", (id(1), Hash([2; 32]), content(3, parties()))), Ok(3));
}

#[test]
fn only_those_concerned_take_part() {
    let mut world = world();
    assert_eq!(code(open(&mut world, "mills")), "not_entitled");
    world.watch("tax", None);
    assert_eq!(code(open(&mut world, "tax")), "not_entitled", "a regulator supervises and is no side");
    let reader = account("works", "reader");
    let claim = (id(1), 1u32, "court", "price", Hash([1; 32]));
    assert_eq!(code(world.call::<_, u64>(reader, "open_dispute", claim)), "role_missing");
    let number = open(&mut world, "works").unwrap();
    assert_eq!(code(world.by::<_, ()>("works", "answer_dispute", (number, Hash([2; 32])))), "not_a_side");
    assert_eq!(code(world.by::<_, ()>("mills", "answer_dispute", (number, Hash([2; 32])))), "not_entitled");
    assert_eq!(code(world.by::<_, ()>("union", "withdraw_dispute", (number,))), "not_a_side");
    assert_eq!(code(world.by::<_, ()>("union", "answer_dispute", (7u64, Hash([2; 32])))), "unknown_dispute");
    let rule = (number, Effect::Upheld, "ok", Hash([3; 32]));
    assert_eq!(code(world.by::<_, ()>("district", "rule", rule.clone())), "not_arbiter");
    assert_eq!(code(world.call::<_, ()>(account("court", "reader"), "rule", rule)), "role_missing");
    // Nobody hands in what they cannot read: `card` is not the enterprise's to show.
    let evidence = (number, id(1), 1u32, fields(&[2]));
    assert_eq!(code(world.by::<_, ()>("works", "add_evidence", evidence)), "not_entitled");
    for bad in [fields(&[]), fields(&[3])] {
        assert_eq!(code(world.by::<_, ()>("works", "add_evidence", (number, id(1), 1u32, bad))), "bad_grant");
    }
    world.by::<_, ()>("works", "withdraw_dispute", (number,)).unwrap();
    assert_eq!(world.document(1).disputes, 0);
    assert_eq!(code(world.by::<_, ()>("works", "withdraw_dispute", (number,))), "wrong_state");
}

#[test]
fn the_members_give_a_dispute_to_another_arbiter() {
    let mut world = world();
    let number = open(&mut world, "works").unwrap();
    world.by::<_, ()>("works", "add_evidence", (number, id(1), 1u32, fields(&[1]))).unwrap();
    assert_eq!(code(world.by::<_, ()>("works", "reassign_dispute", (number, "district"))), "not_decided");
    assert_eq!(code(world.decide::<_, ()>("reassign_dispute", (number, "tax"))), "bad_arbiter");
    world.decide::<_, ()>("reassign_dispute", (number, "district")).unwrap();
    assert_eq!(arbiter_reads(&mut world, "dispute"), [0u8; 0]);
    let may = world.may(account("district", "reader"), Action::Read, 1, 1, "dispute");
    assert_eq!(may.fields, fields(&[1]));
    world.by::<_, ()>("district", "rule", (number, Effect::Upheld, "ok", Hash([3; 32]))).unwrap();
    assert!(!world.may(account("district", "reader"), Action::Read, 1, 1, "dispute").allowed);
}

#[test]
fn disputes_are_listed_and_bounded() {
    let mut world = world();
    for _ in 0..limits::DISPUTES_MAX {
        open(&mut world, "works").unwrap();
    }
    assert_eq!(code(open(&mut world, "works")), "too_many");
    for n in 0..limits::EVIDENCE_MAX {
        world.by::<_, ()>("works", "add_evidence", (1u64, id(1), 1u32, fields(&[n as u16 % 2]))).unwrap();
    }
    assert_eq!(code(world.by::<_, ()>("works", "add_evidence", (1u64, id(1), 1u32, fields(&[1])))), "too_many");
    for _ in 0..limits::ANSWERS_MAX {
        world.by::<_, ()>("union", "answer_dispute", (1u64, Hash([2; 32]))).unwrap();
    }
    assert_eq!(code(world.by::<_, ()>("union", "answer_dispute", (1u64, Hash([2; 32])))), "too_many");
    let page: Vec<Dispute> = world.kit.call("list_disputes", (0u64, 50u32)).unwrap();
    assert_eq!(page.iter().map(|d| d.id).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let page: Vec<Dispute> = world.kit.call("list_document_disputes", (id(1), 5u64, 50u32)).unwrap();
    assert_eq!(page.iter().map(|d| d.id).collect::<Vec<_>>(), [6, 7, 8]);
    assert_eq!(world.kit.call::<_, u64>("count_document_disputes", (id(1),)), Ok(8));
    assert_eq!(world.kit.call::<_, u64>("count_document_disputes", (id(9),)), Ok(0));
    world.by::<_, ()>("court", "rule", (1u64, Effect::Upheld, "ok", Hash([3; 32]))).unwrap();
    assert_eq!(world.document(1).disputes, 7);
}
