//! The contract on the test kit.

use vouch_contract::{CallFailure, Contract as _, kit::Kit};

use super::*;

const ANN: Account = Account([1; 32]);
const BEN: Account = Account([2; 32]);
const EVE: Account = Account([9; 32]);

fn kit() -> Kit<Contract> {
    let mut kit = Kit::new();
    kit.add_member(ANN, "hub", "platform");
    kit.add_member(BEN, "union", "institution");
    kit
}

fn register(kit: &mut Kit<Contract>, n: u8) -> Result<u64, CallFailure> {
    kit.call("register", (Hash([n; 32]), "invoice", Some("A-1")))
}

fn code<T: core::fmt::Debug>(result: Result<T, CallFailure>) -> String {
    result.expect_err("the call should fail").code
}

#[test]
fn registers_and_looks_up() {
    let mut kit = kit();
    (kit.height, kit.time_ms) = (7, 1_000);
    assert_eq!(register(&mut kit, 1), Ok(1));
    let record: Option<Record> = kit.call("get", (Hash([1; 32]),)).unwrap();
    let expected = Record {
        sequence: 1,
        member_sequence: 1,
        registrar: ANN,
        member: "hub".into(),
        registered: Moment { height: 7, time_ms: 1_000 },
        category: "invoice".into(),
        reference: Some("A-1".into()),
        standing: Standing::Valid,
        revoked: None,
    };
    assert_eq!(record, Some(expected));
    assert_eq!(kit.call::<_, Option<Record>>("get", (Hash([2; 32]),)), Ok(None));
    let events = kit.events::<Registered>();
    assert_eq!(
        events,
        [Registered { commitment: Hash([1; 32]), sequence: 1, member: "hub".into(), category: "invoice".into() }]
    );
}

#[test]
fn refuses_what_it_should_and_changes_nothing() {
    let mut kit = kit();
    register(&mut kit, 1).unwrap();
    let before = kit.state.clone();
    assert_eq!(code(register(&mut kit, 1)), "contract.error.already_registered");
    kit.sign_as(BEN);
    assert_eq!(code(register(&mut kit, 1)), "contract.error.already_registered");
    assert_eq!(code(kit.call::<_, ()>("revoke", (Hash([1; 32]),))), "contract.error.not_registrar");
    assert_eq!(code(kit.call::<_, ()>("revoke", (Hash([5; 32]),))), "contract.error.not_registered");
    kit.sign_as(EVE);
    assert_eq!(code(register(&mut kit, 2)), "contract.error.not_a_member");
    kit.sign_as(ANN);
    for category in ["", "Invoice", "a b", &"x".repeat(65)] {
        let result = kit.call::<_, u64>("register", (Hash([3; 32]), category, None::<String>));
        assert_eq!(code(result), "contract.error.bad_category", "{category:?}");
    }
    for reference in [String::new(), "x".repeat(257)] {
        let result = kit.call::<_, u64>("register", (Hash([3; 32]), "invoice", Some(reference)));
        assert_eq!(code(result), "contract.error.bad_reference");
    }
    assert_eq!(code(kit.call_bytes("register", &[1, 2, 3])), "contract.bad_arguments");
    assert_eq!(code(kit.call_bytes("other", &[])), "contract.unknown_method");
    assert_eq!(kit.state, before);
    assert_eq!(kit.events::<Registered>().len(), 1);
}

#[test]
fn revokes_once_and_keeps_the_record() {
    let mut kit = kit();
    register(&mut kit, 1).unwrap();
    (kit.height, kit.time_ms) = (9, 2_000);
    kit.call::<_, ()>("revoke", (Hash([1; 32]),)).unwrap();
    let record = kit.call::<_, Option<Record>>("get", (Hash([1; 32]),)).unwrap().unwrap();
    assert_eq!((record.standing, record.revoked), (Standing::Revoked, Some(Moment { height: 9, time_ms: 2_000 })));
    assert_eq!(code(kit.call::<_, ()>("revoke", (Hash([1; 32]),))), "contract.error.already_revoked");
    assert_eq!(kit.events::<Revoked>(), [Revoked { commitment: Hash([1; 32]), sequence: 1 }]);
}

#[test]
fn numbers_have_no_gaps_and_lists_page() {
    let mut kit = kit();
    for n in 1..=120u8 {
        kit.sign_as(if n % 3 == 0 { BEN } else { ANN });
        assert_eq!(register(&mut kit, n), Ok(u64::from(n)));
    }
    assert_eq!(kit.call::<_, u64>("count", ()), Ok(120));
    assert_eq!(kit.call::<_, u64>("count_member", ("hub",)), Ok(80));
    assert_eq!(kit.call::<_, u64>("count_member", ("union",)), Ok(40));
    assert_eq!(kit.call::<_, u64>("count_member", ("hu",)), Ok(0));

    let mut seen = Vec::new();
    loop {
        let after = seen.len() as u64;
        let page: Vec<Entry> = kit.call("list", (after, 100u32)).unwrap();
        assert!(page.len() <= LIST_MAX as usize);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen.iter().map(|e| e.record.sequence).collect::<Vec<_>>(), (1..=120).collect::<Vec<u64>>());

    let page: Vec<Entry> = kit.call("list_member", ("union", 38u64, 10u32)).unwrap();
    assert_eq!(page.iter().map(|e| e.record.member_sequence).collect::<Vec<_>>(), [39, 40]);
    assert_eq!(page[0].commitment, Hash([117; 32]));
    assert_eq!(kit.call::<_, Vec<Entry>>("list", (u64::MAX, 10u32)), Ok(Vec::new()));
    assert_eq!(kit.call::<_, Vec<Entry>>("list", (0u64, 0u32)), Ok(Vec::new()));
}

#[test]
fn the_largest_list_fits_into_an_output() {
    let mut kit = Kit::<Contract>::new();
    kit.add_member(ANN, &"m".repeat(64), "platform");
    for n in 0..LIST_MAX as u8 {
        let arguments = (Hash([n; 32]), "c".repeat(CATEGORY_BYTES_MAX), Some("r".repeat(REFERENCE_BYTES_MAX)));
        kit.call::<_, u64>("register", arguments).unwrap();
        kit.call::<_, ()>("revoke", (Hash([n; 32]),)).unwrap();
    }
    assert_eq!(kit.call::<_, Vec<Entry>>("list", (0u64, LIST_MAX)).unwrap().len(), LIST_MAX as usize);
}

#[test]
fn the_abi_is_valid_and_says_what_the_code_does() {
    let abi = vouch_types::abi::Abi::from_json(Contract::ABI).unwrap();
    assert_eq!(abi.name, "notary");
    assert_eq!(abi.methods.len(), 7);
    assert_eq!(abi.method("register").unwrap().arguments.len(), 3);
    assert!(abi.method("revoke").unwrap().result.is_none());
    assert_eq!(abi.title.zh, "存证");
    assert!(abi.error("not_registrar").is_some());
    assert!(abi.event("Revoked").is_some());
    assert_eq!(abi.types.len(), 4);
}
