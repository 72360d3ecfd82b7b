//! Forgets what it voted for and locked on, in the middle of a height.

use vouch_types::Round;

use super::{Adversary, Scene};

#[derive(Default)]
pub struct Amnesia {
    forgotten: u64,
}

impl Adversary for Amnesia {
    fn forgets(&mut self, scene: &mut Scene<'_>) -> bool {
        let Some(status) = scene.replica.status().consensus else { return false };
        let place = status.height.0 << 8 | u64::from(status.round.0 & 0xff);
        let again = place != self.forgotten && (status.round > Round(0) || scene.rng.chance(100));
        if again {
            self.forgotten = place;
        }
        again
    }
}
