//! Keeps what others sent and sends it again, much later.

use std::collections::VecDeque;

use vouch_replica::Message;

use super::{Adversary, Out, Scene};

#[derive(Default)]
pub struct Replay {
    kept: VecDeque<Message>,
}

impl Adversary for Replay {
    fn incoming(&mut self, scene: &mut Scene<'_>, _from: usize, message: &Message) -> (bool, Vec<Out>) {
        if scene.rng.chance(150) {
            self.kept.push_back(message.clone());
            if self.kept.len() > 200 {
                self.kept.pop_front();
            }
        }
        (true, Vec::new())
    }

    fn tick(&mut self, scene: &mut Scene<'_>) -> Vec<(usize, Out)> {
        if self.kept.is_empty() || scene.peers.is_empty() {
            return Vec::new();
        }
        (0..4)
            .map(|_| {
                let at = scene.rng.index(self.kept.len());
                (*scene.rng.pick(scene.peers), self.kept[at].clone().into())
            })
            .collect()
    }
}
