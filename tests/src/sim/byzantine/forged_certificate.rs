//! Answers who asks for blocks with certificates that prove nothing: one signer many times, signatures of another height,
//! a block of its own with stale signatures; and sends forged proofs of prevotes and of rounds.

use vouch_consensus::{
    ConsensusMessage, PolkaCertificate, PolkaSignature, RoundCertificate, RoundCertificateKind, RoundSignature,
};
use vouch_replica::{Message, message::SyncedBlock};
use vouch_types::{Block, Height, Round, VoteKind, VoteStatement, decode, encode};

use super::{Adversary, Out, Scene};

pub struct ForgedCertificate;

impl Adversary for ForgedCertificate {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        match message {
            Message::Status { height, lowest, .. } => {
                vec![
                    Message::Status { height: Height(height.0 + scene.rng.range(1, 3)), lowest, abstains: false }
                        .into(),
                ]
            }
            Message::SyncResponse { from, blocks } => {
                let blocks = blocks.into_iter().map(|synced| forge(scene, synced)).collect();
                vec![Message::SyncResponse { from, blocks }.into()]
            }
            other => vec![other.into()],
        }
    }

    fn tick(&mut self, scene: &mut Scene<'_>) -> Vec<(usize, Out)> {
        if scene.peers.is_empty() {
            return Vec::new();
        }
        let to = *scene.rng.pick(scene.peers);
        let height = scene.replica.ledger().next_height();
        let round = Round(scene.rng.below(3) as u32);
        let block = scene.replica.ledger().head().hash;
        let kind = VoteKind::Prevote;
        let statement = VoteStatement { chain: scene.replica.chain(), kind, height, round, block: Some(block) };
        let signature = scene.secret.sign(statement.digest().as_bytes());
        let mut nodes: Vec<_> = scene.replica.ledger().validators().members().iter().map(|v| v.key.node()).collect();
        nodes.sort_unstable();
        let forged = if scene.rng.chance(500) {
            let signatures = nodes.into_iter().map(|validator| PolkaSignature { validator, signature }).collect();
            ConsensusMessage::Polka(PolkaCertificate { height, round, block, signatures })
        } else {
            let entry = |validator| RoundSignature { validator, kind, block: Some(block), signature };
            let signatures = nodes.into_iter().map(entry).collect();
            let kind = if scene.rng.chance(500) { RoundCertificateKind::Skip } else { RoundCertificateKind::Precommit };
            ConsensusMessage::Round(RoundCertificate { height, round, kind, signatures })
        };
        vec![(to, Message::Consensus(forged).into())]
    }
}

fn forge(scene: &mut Scene<'_>, mut synced: SyncedBlock) -> SyncedBlock {
    let certificate = &mut synced.certificate;
    match scene.rng.below(4) {
        0 => {
            if let Some(first) = certificate.signatures.first().copied() {
                certificate.signatures = vec![first; certificate.signatures.len() + 2];
            }
        }
        1 => {
            if let Some(first) = certificate.signatures.first().copied() {
                for (index, entry) in certificate.signatures.iter_mut().enumerate() {
                    entry.signature = first.signature;
                    entry.validator = index as u16;
                }
            }
        }
        2 => certificate.signatures.truncate(1),
        _ => {
            let mut block: Block = decode("block", &synced.block, 1 << 20).unwrap();
            block.header.time.0 += 1;
            certificate.block = block.header.hash();
            synced.block = encode(&block);
        }
    }
    synced
}
