//! Prints the sensitive-information checklist of the built-in rules, as `vouch rules checklist` does.

use vouch_privacy::{Engine, rules::checklist};

fn main() {
    print!("{}", checklist::render(Engine::builtin()));
}
