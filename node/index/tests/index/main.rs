//! The index against a made chain: what it holds, how it follows, and that lists find what a look at everything finds.

mod follow;
mod life;
mod lists;
mod place;
mod server;
mod world;

use std::time::{Duration, Instant};

use vouch_index::{Index, Query, Source};
use vouch_types::{Height, api::IndexState};

use place::Place;

/// How long a thread may take for what takes it milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn start(place: &Place, source: impl Source + 'static) -> Index {
    Index::start(&place.config(), place.owner(), Box::new(source)).unwrap()
}

/// Waits for what the thread comes to by itself.
fn wait(index: &Index, what: &str, holds: impl Fn(&Index) -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds(index) {
        assert!(Instant::now() < end, "{what}: {:?}", index.progress());
        index.wake();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the index is at a height.
fn at(index: &Index, height: u64) -> Query {
    wait(index, "the index comes to the head", |index| {
        let progress = index.progress();
        progress.indexed == Height(height) && progress.state == IndexState::Following
    });
    index.query(Height(height))
}
