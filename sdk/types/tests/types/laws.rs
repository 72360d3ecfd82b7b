//! Laws of the encoding, for every type that is hashed, signed, stored or sent: the bytes are those of bincode's legacy
//! layout, one value has one encoding, and whatever is accepted encodes to the very bytes it came from.

use proptest::{collection::vec, option, prelude::*, sample::Index};
use serde::Serialize;
use vouch_types::{
    AccountSignature, Block, BlockHash, Call, ChainId, CommitCertificate, CommitSignature, ContractName, Event,
    EventsRoot, Failure, FinalityProof, Fuel, GenesisHeader, Hash32, Header, Height, NodeId, Outcome, OutputHash,
    Power, ProofBundle, ProposalStatement, PublicKey, Receipt, ReceiptsRoot, Round, Signature, StateProof, StateRoot,
    TimestampMs, Transaction, TransactionBody, TransactionsRoot, TxId, Validator, ValidatorSet, ValidatorsHash,
    VoteKind, VoteStatement,
    codec::Format,
    decode, encode,
    light::{Claim, EventProof, ReceiptProof, SetChange, TransactionProof},
    merkle::{self, MerklePath},
    state::{RangeProof, StateEntry},
};
use wincode::{SchemaRead, SchemaWrite};

type Bytes32 = [u8; 32];
type Key = (u8, Bytes32);
type Sig = (Bytes32, Bytes32);

/// The same value, written down for the other encoder in terms that cannot depend on our own types' serde forms.
trait Mirror {
    type As: Serialize;
    fn mirror(&self) -> Self::As;
}

fn mirrors<T: Mirror>(items: &[T]) -> Vec<T::As> {
    items.iter().map(Mirror::mirror).collect()
}

fn sig(signature: &Signature) -> Sig {
    let (r, s) = signature.0.split_at(32);
    (r.try_into().unwrap(), s.try_into().unwrap())
}

/// Fields as a tuple: tuples and structs have the same bytes.
macro_rules! mirror {
    ($type:ty as $as:ty, $this:ident => $value:expr) => {
        impl Mirror for $type {
            type As = $as;
            fn mirror(&self) -> $as {
                let $this = self;
                $value
            }
        }
    };
}

#[derive(Serialize)]
enum OutcomeMirror {
    Success,
    Failed(u16, String, String),
}

#[derive(Serialize)]
enum KindMirror {
    Prevote,
    Precommit,
}

#[derive(Serialize)]
enum ClaimMirror {
    Transaction(<TransactionProof as Mirror>::As),
    Receipt(<ReceiptProof as Mirror>::As),
    Event(<EventProof as Mirror>::As),
    State(<StateProof as Mirror>::As),
}

type HeaderMirror = (u8, Bytes32, u64, u64, Bytes32, Bytes32, (Bytes32, Bytes32, Bytes32), (Bytes32, Bytes32));

mirror!(PublicKey as Key, k => (k.algorithm, k.bytes));
mirror!(Call as (String, String, Vec<u8>), c => (c.contract.as_str().into(), c.method.clone(), c.arguments.clone()));
mirror!(TransactionBody as (u8, Bytes32, u64, [u8; 16], Vec<<Call as Mirror>::As>), b => {
    (b.version, b.chain.0, b.expiry.0, b.salt, mirrors(&b.calls))
});
mirror!(AccountSignature as (Key, Sig), s => (s.key.mirror(), sig(&s.signature)));
mirror!(Transaction as (<TransactionBody as Mirror>::As, Vec<(Key, Sig)>), t => {
    (t.body.mirror(), mirrors(&t.signatures))
});
mirror!(Header as HeaderMirror, h => (
    h.version, h.chain.0, h.height.0, h.time.0, h.parent.0, h.proposer.0,
    (h.transactions_root.0, h.receipts_root.0, h.state_root.0),
    (h.validators_hash.0, h.next_validators_hash.0),
));
mirror!(Block as (HeaderMirror, Vec<Vec<u8>>), b => (b.header.mirror(), b.transactions.clone()));
mirror!(GenesisHeader as (u8, u64, Bytes32, Bytes32), g => (g.version, g.time.0, g.document.0, g.validators_hash.0));
mirror!(VoteStatement as (Bytes32, KindMirror, u64, u32, Option<Bytes32>), v => {
    let kind = match v.kind {
        VoteKind::Prevote => KindMirror::Prevote,
        VoteKind::Precommit => KindMirror::Precommit,
    };
    (v.chain.0, kind, v.height.0, v.round.0, v.block.map(|b| b.0))
});
mirror!(ProposalStatement as (Bytes32, u64, u32, Bytes32, Option<u32>), p => {
    (p.chain.0, p.height.0, p.round.0, p.block.0, p.valid_round.map(|r| r.0))
});
mirror!(CommitSignature as (u16, Sig), s => (s.validator, sig(&s.signature)));
mirror!(CommitCertificate as (u64, u32, Bytes32, Vec<(u16, Sig)>), c => {
    (c.height.0, c.round.0, c.block.0, mirrors(&c.signatures))
});
mirror!(Validator as (Key, u64), v => (v.key.mirror(), v.power.0));
mirror!(ValidatorSet as Vec<(Key, u64)>, s => mirrors(s.members()));
mirror!(Event as (String, String, Vec<u8>), e => (e.contract.as_str().into(), e.name.clone(), e.data.clone()));
mirror!(Receipt as (Bytes32, u64, u32, OutcomeMirror, u64, Bytes32, Bytes32), r => {
    let outcome = match &r.outcome {
        Outcome::Success => OutcomeMirror::Success,
        Outcome::Failed(f) => OutcomeMirror::Failed(f.call, f.code.clone(), f.message.clone()),
    };
    (r.tx.0, r.height.0, r.index, outcome, r.fuel_used.0, r.output_hash.0, r.events_root.0)
});
mirror!(MerklePath as (u32, u32, Vec<Bytes32>), p => {
    (p.index, p.count, p.siblings.iter().map(|s| s.0).collect())
});
mirror!(StateProof as (Vec<u8>, Option<Vec<u8>>, u64, u64, Vec<Bytes32>), p => {
    (p.key.clone(), p.value.clone(), p.slot, p.slots, p.siblings.iter().map(|s| s.0).collect())
});
mirror!(StateEntry as (Vec<u8>, Option<Vec<u8>>), e => (e.key.clone(), e.value.clone()));
mirror!(RangeProof as (u64, u64, Vec<(Vec<u8>, Option<Vec<u8>>)>, Vec<Bytes32>, Vec<Bytes32>), p => {
    let plain = |hashes: &[Hash32]| hashes.iter().map(|h| h.0).collect();
    (p.from, p.slots, mirrors(&p.entries), plain(&p.left), plain(&p.right))
});
mirror!(TransactionProof as (Vec<u8>, <MerklePath as Mirror>::As), p => (p.raw.clone(), p.path.mirror()));
mirror!(ReceiptProof as (<Receipt as Mirror>::As, <MerklePath as Mirror>::As), p => {
    (p.receipt.mirror(), p.path.mirror())
});
mirror!(EventProof as (<Event as Mirror>::As, <MerklePath as Mirror>::As, <ReceiptProof as Mirror>::As), p => {
    (p.event.mirror(), p.path.mirror(), p.receipt.mirror())
});
mirror!(Claim as ClaimMirror, c => match c {
    Claim::Transaction(p) => ClaimMirror::Transaction(p.mirror()),
    Claim::Receipt(p) => ClaimMirror::Receipt(p.mirror()),
    Claim::Event(p) => ClaimMirror::Event(p.mirror()),
    Claim::State(p) => ClaimMirror::State(p.mirror()),
});
mirror!(FinalityProof as (HeaderMirror, <CommitCertificate as Mirror>::As), p => {
    (p.header.mirror(), p.certificate.mirror())
});
mirror!(SetChange as (<FinalityProof as Mirror>::As, Vec<(Key, u64)>), c => {
    (c.finality.mirror(), c.next_set.mirror())
});
mirror!(ProofBundle as (
    u8, <GenesisHeader as Mirror>::As, Vec<(Key, u64)>, Vec<<SetChange as Mirror>::As>, <FinalityProof as Mirror>::As,
    ClaimMirror
), b => {
    (b.version, b.genesis.mirror(), b.first_set.mirror(), mirrors(&b.set_changes), b.finality.mirror(), b.claim.mirror())
});

/// How an encoding is damaged.
type Damage = (Index, u8);

fn any_damage() -> impl Strategy<Value = Vec<Damage>> {
    vec((any::<Index>(), any::<u8>()), 1..4)
}

fn laws<T>(value: &T, damage: &[Damage]) -> Result<(), TestCaseError>
where
    T: Mirror + PartialEq + core::fmt::Debug + SchemaWrite<Format, Src = T>,
    T: for<'a> SchemaRead<'a, Format, Dst = T>,
{
    let bytes = encode(value);
    let oracle = bincode::serde::encode_to_vec(value.mirror(), bincode::config::legacy()).unwrap();
    prop_assert_eq!(hex::encode(&bytes), hex::encode(oracle), "the layout is bincode's");
    let read = |bytes: &[u8]| decode::<T>("value", bytes, 1 << 20);
    prop_assert_eq!(&read(&bytes).unwrap(), value);
    prop_assert!(decode::<T>("value", &bytes, bytes.len() - 1).is_err(), "above the bound");
    let mut longer = bytes.clone();
    longer.push(damage[0].1);
    prop_assert!(read(&longer).is_err(), "trailing byte");
    for (at, byte) in damage {
        prop_assert!(read(&bytes[..at.index(bytes.len())]).is_err(), "truncated");
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] = *byte;
        if let Ok(accepted) = read(&changed) {
            prop_assert_eq!(encode(&accepted), changed, "accepted bytes are canonical");
        }
        // The places where other layouts are lenient: lengths, tags, flags.
        for bit in [0x01, 0x02, 0x80] {
            let mut changed = bytes.clone();
            changed[at.index(bytes.len())] ^= bit;
            if let Ok(accepted) = read(&changed) {
                prop_assert_eq!(encode(&accepted), changed, "accepted bytes are canonical");
            }
        }
    }
    Ok(())
}

fn h() -> impl Strategy<Value = Bytes32> {
    any::<Bytes32>()
}

fn signature() -> impl Strategy<Value = Signature> {
    (h(), h()).prop_map(|(r, s)| Signature([r, s].concat().try_into().unwrap()))
}

fn name() -> impl Strategy<Value = ContractName> {
    "[a-z][a-z0-9._-]{0,31}".prop_map(|n| ContractName::new(n).unwrap())
}

fn blob() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn hashes() -> impl Strategy<Value = Vec<Hash32>> {
    vec(h().prop_map(Hash32), 0..5)
}

prop_compose! {
    fn key()(algorithm: u8, bytes in h()) -> PublicKey {
        PublicKey { algorithm, bytes }
    }
}

prop_compose! {
    fn call()(contract in name(), method in "\\PC{0,9}", arguments in blob()) -> Call {
        Call { contract, method, arguments }
    }
}

prop_compose! {
    fn transaction()(
        version: u8, chain in h(), expiry: u64, salt: [u8; 16], calls in vec(call(), 0..4),
        signatures in vec((key(), signature()), 0..4),
    ) -> Transaction {
        Transaction {
            body: TransactionBody { version, chain: ChainId(chain), expiry: Height(expiry), salt, calls },
            signatures: signatures.into_iter().map(|(key, signature)| AccountSignature { key, signature }).collect(),
        }
    }
}

prop_compose! {
    fn header()(version: u8, n in any::<[u64; 2]>(), hash in any::<[Bytes32; 8]>()) -> Header {
        Header {
            version,
            chain: ChainId(hash[0]),
            height: Height(n[0]),
            time: TimestampMs(n[1]),
            parent: BlockHash(hash[1]),
            proposer: NodeId(hash[2]),
            transactions_root: TransactionsRoot(hash[3]),
            receipts_root: ReceiptsRoot(hash[4]),
            state_root: StateRoot(hash[5]),
            validators_hash: ValidatorsHash(hash[6]),
            next_validators_hash: ValidatorsHash(hash[7]),
        }
    }
}

prop_compose! {
    fn genesis()(version: u8, time: u64, document in h(), set in h()) -> GenesisHeader {
        GenesisHeader {
            version,
            time: TimestampMs(time),
            document: Hash32(document),
            validators_hash: ValidatorsHash(set),
        }
    }
}

prop_compose! {
    fn vote()(chain in h(), precommit: bool, height: u64, round: u32, block in option::of(h())) -> VoteStatement {
        VoteStatement {
            chain: ChainId(chain),
            kind: if precommit { VoteKind::Precommit } else { VoteKind::Prevote },
            height: Height(height),
            round: Round(round),
            block: block.map(BlockHash),
        }
    }
}

prop_compose! {
    fn proposal()(chain in h(), height: u64, round: u32, block in h(), valid in option::of(any::<u32>())) -> ProposalStatement {
        ProposalStatement {
            chain: ChainId(chain),
            height: Height(height),
            round: Round(round),
            block: BlockHash(block),
            valid_round: valid.map(Round),
        }
    }
}

prop_compose! {
    fn certificate()(
        height: u64, round: u32, block in h(), signatures in vec((any::<u16>(), signature()), 0..4),
    ) -> CommitCertificate {
        let signatures = signatures.into_iter().map(|(validator, signature)| CommitSignature { validator, signature });
        CommitCertificate {
            height: Height(height),
            round: Round(round),
            block: BlockHash(block),
            signatures: signatures.collect(),
        }
    }
}

fn validators() -> impl Strategy<Value = ValidatorSet> {
    vec((key(), 1..1_000_000u64), 1..5).prop_filter_map("keys must differ", |members| {
        ValidatorSet::new(members.into_iter().map(|(key, power)| Validator { key, power: Power(power) }).collect()).ok()
    })
}

prop_compose! {
    fn event()(contract in name(), name in "\\PC{0,9}", data in blob()) -> Event {
        Event { contract, name, data }
    }
}

prop_compose! {
    fn receipt()(
        tx in h(), height: u64, index: u32, failure in option::of((any::<u16>(), "[a-z.]{0,9}", "\\PC{0,9}")),
        fuel: u64, output in h(), events in h(),
    ) -> Receipt {
        Receipt {
            tx: TxId(tx),
            height: Height(height),
            index,
            outcome: failure
                .map_or(Outcome::Success, |(call, code, message)| Outcome::Failed(Failure { call, code, message })),
            fuel_used: Fuel(fuel),
            output_hash: OutputHash(output),
            events_root: EventsRoot(events),
        }
    }
}

prop_compose! {
    fn path()(index: u32, count: u32, siblings in hashes()) -> MerklePath {
        MerklePath { index, count, siblings }
    }
}

prop_compose! {
    fn state_proof()(key in blob(), value in option::of(blob()), slot: u64, slots: u64, siblings in hashes()) -> StateProof {
        StateProof { key, value, slot, slots, siblings }
    }
}

prop_compose! {
    fn range_proof()(
        from: u64, slots: u64, entries in vec((blob(), option::of(blob())), 0..4), left in hashes(), right in hashes(),
    ) -> RangeProof {
        let entries = entries.into_iter().map(|(key, value)| StateEntry { key, value }).collect();
        RangeProof { from, slots, entries, left, right }
    }
}

prop_compose! {
    fn receipt_proof()(receipt in receipt(), path in path()) -> ReceiptProof {
        ReceiptProof { receipt, path }
    }
}

fn claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        (blob(), path()).prop_map(|(raw, path)| Claim::Transaction(TransactionProof { raw, path })),
        receipt_proof().prop_map(Claim::Receipt),
        (event(), path(), receipt_proof())
            .prop_map(|(event, path, receipt)| { Claim::Event(EventProof { event, path, receipt }) }),
        state_proof().prop_map(Claim::State),
    ]
}

prop_compose! {
    fn finality()(header in header(), certificate in certificate()) -> FinalityProof {
        FinalityProof { header, certificate }
    }
}

prop_compose! {
    fn bundle()(
        version: u8, genesis in genesis(), first_set in validators(), changes in vec((finality(), validators()), 0..3),
        finality in finality(), claim in claim(),
    ) -> ProofBundle {
        let set_changes =
            changes.into_iter().map(|(finality, next_set)| SetChange { finality, next_set }).collect();
        ProofBundle { version, genesis, first_set, set_changes, finality, claim }
    }
}

macro_rules! law {
    ($($name:ident),* $(,)?) => {
        mod encoding {
            use super::*;
            proptest! {
                $(
                    #[test]
                    fn $name(value in super::$name(), damage in any_damage()) {
                        laws(&value, &damage)?;
                    }
                )*
            }
        }
    };
}

law![
    transaction,
    header,
    genesis,
    vote,
    proposal,
    certificate,
    validators,
    event,
    receipt,
    path,
    state_proof,
    range_proof,
    bundle,
];

proptest! {
    #[test]
    fn blocks(header in header(), transactions in vec(blob(), 0..5), damage in any_damage()) {
        laws(&Block { header, transactions }, &damage)?;
    }

    #[test]
    fn bundles_survive_json(bundle in bundle()) {
        // A key of an unknown algorithm has no text; everything else does.
        let known = |set: &ValidatorSet| set.members().iter().all(|v| v.key.algorithm == 1);
        let all_known = known(&bundle.first_set) && bundle.set_changes.iter().all(|c| known(&c.next_set));
        match ProofBundle::from_json(&bundle.to_json()) {
            Ok(read) => prop_assert_eq!(read, bundle),
            Err(_) => prop_assert!(!all_known),
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        fn canonical<T>(bytes: &[u8]) -> bool
        where
            T: SchemaWrite<Format, Src = T> + for<'a> SchemaRead<'a, Format, Dst = T>,
        {
            decode::<T>("value", bytes, bytes.len()).map_or(true, |value| encode(&value) == bytes)
        }
        prop_assert!(canonical::<Transaction>(&bytes));
        prop_assert!(canonical::<CommitCertificate>(&bytes));
        prop_assert!(canonical::<Receipt>(&bytes));
        prop_assert!(canonical::<ProofBundle>(&bytes));
        prop_assert!(canonical::<RangeProof>(&bytes));
        prop_assert!(canonical::<VoteStatement>(&bytes));
    }
}

/// A length that promises more than is there is refused before memory is set aside for it.
#[test]
fn lengths_that_lie_are_refused() {
    for length in [1u64, 300, 1 << 20, 1 << 32, u64::MAX] {
        let bytes = length.to_le_bytes();
        assert!(decode::<Vec<u8>>("value", &bytes, 8).is_err());
        assert!(decode::<Vec<Vec<u8>>>("value", &bytes, 8).is_err());
        assert!(decode::<Vec<Hash32>>("value", &bytes, 8).is_err());
        assert!(decode::<ValidatorSet>("value", &bytes, 8).is_err());
    }
}

fn leaves(count: usize) -> Vec<Hash32> {
    (0..count).map(|n| merkle::leaf_hash(&n.to_le_bytes())).collect()
}

#[test]
fn merkle_paths_of_every_leaf_in_trees_of_every_size() {
    for count in 1..=70 {
        let leaves = leaves(count);
        let root = merkle::root(&leaves);
        for (index, leaf) in leaves.iter().enumerate() {
            let path = merkle::path(&leaves, index).unwrap();
            assert_eq!(path.root_from(leaf), Some(root), "{index} of {count}");
            for changed in changes(&path) {
                assert_ne!(changed.root_from(leaf), Some(root), "{changed:?} of {path:?}");
            }
            let other = merkle::leaf_hash(b"other");
            assert_ne!(path.root_from(&other), Some(root));
        }
        assert_eq!(merkle::path(&leaves, count), None);
    }
}

/// Every single change of a path: place, number of leaves, each sibling, one more, one less, two swapped.
fn changes(path: &MerklePath) -> Vec<MerklePath> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut MerklePath)| {
        let mut changed = path.clone();
        change(&mut changed);
        if changed != *path {
            all.push(changed);
        }
    };
    for index in 0..=path.count {
        add(&|p| p.index = index);
    }
    for count in [0, path.count - 1, path.count + 1, path.count * 2, u32::MAX] {
        add(&|p| p.count = count);
    }
    for level in 0..path.siblings.len() {
        add(&|p| p.siblings[level].0[level] ^= 0x10);
        add(&|p| _ = p.siblings.remove(level));
        add(&|p| p.siblings.swap(0, level));
    }
    add(&|p| p.siblings.push(Hash32::ZERO));
    add(&|p| p.siblings.insert(0, Hash32::ZERO));
    all
}

#[test]
fn merkle_roots_bind_number_and_order() {
    let mut roots: Vec<Hash32> = (0..=70).map(|count| merkle::root(&leaves(count))).collect();
    let mut swapped = leaves(70);
    swapped.swap(0, 69);
    roots.push(merkle::root(&swapped));
    let mut doubled = leaves(69);
    doubled.push(doubled[68]);
    roots.push(merkle::root(&doubled));
    // An inner node handed in as a leaf of a smaller tree.
    let four = leaves(4);
    let pairs: Vec<Hash32> = four.chunks(2).map(|p| merkle::path(p, 0).unwrap().root_from(&p[0]).unwrap()).collect();
    roots.push(merkle::root(&pairs));
    let count = roots.len();
    roots.sort_unstable();
    roots.dedup();
    assert_eq!(roots.len(), count);
}
