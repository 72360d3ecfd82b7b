//! One identity on two machines, each of them honest: half of the network talks to one, half to the other.

use super::Adversary;

pub struct Twin;

impl Adversary for Twin {}
