//! Promises more than it has, and answers who asks with wrong, cut, empty or endless blocks.

use vouch_replica::Message;
use vouch_types::Height;

use super::{Adversary, Out, Scene};

pub struct LyingSync;

impl Adversary for LyingSync {
    fn outgoing(&mut self, scene: &mut Scene<'_>, _to: usize, message: Message) -> Vec<Out> {
        match message {
            Message::Status { height, lowest, .. } => {
                vec![
                    Message::Status { height: Height(height.0 + scene.rng.range(0, 1 << 20)), lowest, abstains: false }
                        .into(),
                ]
            }
            Message::SyncResponse { from, mut blocks } => {
                match scene.rng.below(5) {
                    0 => blocks.clear(),
                    1 => blocks.reverse(),
                    2 => blocks.iter_mut().for_each(|b| b.block.truncate(b.block.len() / 2)),
                    3 => blocks = blocks.iter().cycle().take(blocks.len() * 40).cloned().collect(),
                    _ => return Vec::new(),
                }
                vec![Message::SyncResponse { from, blocks }.into()]
            }
            Message::RequestedBlock { mut block } => {
                if let Some(byte) = block.last_mut() {
                    *byte ^= 1;
                }
                vec![Message::RequestedBlock { block }.into()]
            }
            other => vec![other.into()],
        }
    }
}
