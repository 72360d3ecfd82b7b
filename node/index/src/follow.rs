//! The thread that keeps the index at the head, and rebuilds it in the background when it is told to.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use vouch_types::{Height, api::IndexState};

use crate::{
    Applied, IndexConfig, IndexError, Owner, Query, Source, Writer,
    home::{Home, open_newest},
    readers::Readers,
};

/// Blocks written as one transaction while catching up.
const BLOCKS_MAX: usize = 256;
/// How long one transaction may go on taking blocks in, so that readers see the index move.
const WRITE_TIME: Duration = Duration::from_millis(100);
/// Left to others after each transaction while catching up: consensus shares the machine.
const BREATH: Duration = Duration::from_millis(2);
/// Without news, how often the ledger is looked at.
const IDLE: Duration = Duration::from_secs(5);
/// After a failure that may pass, how long to wait.
const RETRY: Duration = Duration::from_secs(10);
/// The same for a server that was not there.
const RECONNECT: Duration = Duration::from_secs(2);
/// How often it is asked how large the index is.
const MEASURE: Duration = Duration::from_secs(30);
/// By how much this thread stands back behind others when processors are scarce: every node writes a block into its index at the moment
/// at which it should vote and answer.
const NICE: i32 = 5;
/// Behind by more than this many blocks it is catching up.
const FOLLOWING_MAX: u64 = 16;
/// Turns between two foldings of the write-ahead log while catching up.
const CHECKPOINT_TURNS: u64 = 64;

/// How the index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// In a word.
    pub state: IndexState,
    /// Why it does not go on: a stable code, and the same for people.
    pub problem: Option<(&'static str, String)>,
    /// The last block in it.
    pub indexed: Height,
    /// The first block in it.
    pub first: Height,
    /// The last block in the one that is being built beside it.
    pub rebuild: Option<Height>,
    /// Which it is: its file, or its server and schema.
    pub place: String,
}

struct Shared {
    progress: Mutex<Progress>,
    readers: Arc<RwLock<Arc<Readers>>>,
    rebuild: AtomicBool,
    stop: AtomicBool,
    blocks: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
}

/// A running index.
pub struct Index {
    shared: Arc<Shared>,
    wake: SyncSender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("progress", &*self.shared.progress.lock()).finish_non_exhaustive()
    }
}

impl Index {
    /// Starts the thread that opens an owner's newest index of a place, or makes one, and follows the ledger. While that fails,
    /// as on a full disk or without a server, [`Index::progress`] says why and it is tried again: nothing else waits for an
    /// index.
    ///
    /// # Errors
    /// [`IndexError::Files`] when there can be no thread, [`IndexError::Connection`] for a name that schemas cannot have.
    pub fn start(config: &IndexConfig, owner: Owner, source: Box<dyn Source>) -> Result<Self, IndexError> {
        let home = config.home(owner)?;
        let progress = Progress {
            state: IndexState::CatchingUp,
            problem: None,
            indexed: Height::ZERO,
            first: Height(1),
            rebuild: None,
            place: home.name(1),
        };
        let shared = Arc::new(Shared {
            progress: Mutex::new(progress),
            readers: Arc::new(RwLock::new(Arc::new(Readers::Closed))),
            rebuild: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            blocks: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        // One wake that is not heard yet says as much as many.
        let (wake, woken) = sync_channel(1);
        let opened = Arc::clone(&shared);
        let run = move || {
            stand_back();
            if let Some(current) = open(home.as_ref(), &opened, &woken) {
                let follower = Follower {
                    shared: opened,
                    source,
                    home,
                    current,
                    next: None,
                    retired: Vec::new(),
                    halted: false,
                    wanted: false,
                    turns: 0,
                    follow_again: None,
                    build_again: None,
                    measured: None,
                };
                follower.run(&woken);
            }
        };
        let thread = std::thread::Builder::new().name("index".into()).spawn(run)?;
        Ok(Self { shared, wake, thread: Mutex::new(Some(thread)) })
    }

    /// Says that there may be a new block. Never waits.
    pub fn wake(&self) {
        // Full means that it is woken already.
        self.wake.try_send(()).unwrap_or_default();
    }

    /// Asks for a new index, made beside the old one, which serves until the new one is at the head.
    pub fn rebuild(&self) {
        self.shared.rebuild.store(true, Relaxed);
        self.wake();
    }

    /// How it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.progress.lock().clone()
    }

    /// Blocks written since the start.
    #[must_use]
    pub fn blocks_written(&self) -> u64 {
        self.shared.blocks.load(Relaxed)
    }

    /// Failures since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Relaxed)
    }

    /// Bytes that it takes, as of a moment ago.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Relaxed)
    }

    /// To ask it. Each question goes to the index that serves when it is asked.
    #[must_use]
    pub fn query(&self, head: Height) -> Query {
        Query::new(Arc::clone(&self.shared.readers), head)
    }

    /// Ends the thread after what it is writing.
    pub fn stop(&self) {
        self.shared.stop.store(true, Relaxed);
        self.wake();
        if let Some(thread) = self.thread.lock().take() {
            // One that panicked has said so in the log.
            drop(thread.join());
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock());
    }

    fn failed(&self, error: &IndexError) {
        self.failures.fetch_add(1, Relaxed);
        let problem = Some((error.code(), error.to_string()));
        self.tell(|progress| {
            // Said once, however often it is tried again.
            if progress.problem != problem {
                tracing::error!(code = error.code(), "the index does not go on: {error}");
            }
            progress.state = IndexState::Stopped;
            progress.problem = problem;
        });
    }
}

/// How long to wait after a failure.
const fn rest(error: &IndexError) -> Duration {
    if matches!(error, IndexError::Connection(_)) { RECONNECT } else { RETRY }
}

/// How long it is until then; `None` when it is over.
fn left(again: Option<Instant>) -> Option<Duration> {
    again?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// Lowers the priority of the calling thread.
fn stand_back() {
    if let Err(error) = rustix::process::nice(NICE) {
        // The index is as good without it.
        tracing::debug!(%error, "the index keeps the priority it has");
    }
}

/// The index of a place, as soon as it can be opened; `None` when it is stopped before.
fn open(home: &dyn Home, shared: &Shared, woken: &Receiver<()>) -> Option<Writer> {
    while !shared.stop.load(Relaxed) {
        let rest = match open_newest(home) {
            Ok(writer) => {
                *shared.readers.write() = Arc::new(home.readers(writer.number()));
                shared.tell(|progress| {
                    progress.state = IndexState::CatchingUp;
                    progress.problem = None;
                    progress.indexed = writer.height();
                    progress.first = writer.first();
                    writer.name().clone_into(&mut progress.place);
                });
                return Some(writer);
            }
            Err(error) => {
                shared.failed(&error);
                rest(&error)
            }
        };
        // Every block wakes it; a disk that is full is not to be asked that often.
        let again = Instant::now() + rest;
        while !shared.stop.load(Relaxed) && Instant::now() < again {
            match woken.recv_timeout(again.saturating_duration_since(Instant::now())) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
            if shared.rebuild.swap(false, Relaxed) {
                break;
            }
        }
    }
    None
}

struct Follower {
    shared: Arc<Shared>,
    source: Box<dyn Source>,
    home: Box<dyn Home>,
    current: Writer,
    next: Option<Writer>,
    /// Indexes that were replaced, and who may still be reading them.
    retired: Vec<(Arc<Readers>, u64)>,
    /// The current one cannot go on: another one is made in its place.
    halted: bool,
    /// Somebody wants another one, and it does not serve yet.
    wanted: bool,
    turns: u64,
    /// Before then it is not tried: it failed, and blocks alone mend nothing.
    follow_again: Option<Instant>,
    /// The same for the one that is being built.
    build_again: Option<Instant>,
    measured: Option<Instant>,
}

impl Follower {
    fn run(mut self, woken: &Receiver<()>) {
        let mut pause = Duration::ZERO;
        loop {
            if self.shared.stop.load(Relaxed) {
                break;
            }
            match woken.recv_timeout(pause) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.shared.stop.load(Relaxed) {
                break;
            }
            if self.shared.rebuild.swap(false, Relaxed) {
                (self.follow_again, self.build_again) = (None, None);
                self.begin_rebuild();
            }
            let follow = match left(self.follow_again) {
                Some(left) => left,
                None if self.halted => IDLE,
                None => self.follow(),
            };
            let build = match left(self.build_again) {
                Some(left) => left,
                None => self.build(),
            };
            pause = follow.min(build);
            self.remove_retired();
            self.measure();
            self.turns = self.turns.wrapping_add(1);
        }
        drop(self.current.checkpoint());
    }

    fn begin_rebuild(&mut self) {
        self.wanted = true;
        if self.next.is_some() {
            return;
        }
        let made = Writer::make(self.home.as_ref(), self.current.number().saturating_add(1));
        match made.and_then(|writer| writer.begin().map(|()| writer)) {
            Ok(writer) => {
                tracing::info!(index = writer.name(), "the index is rebuilt beside the old one");
                self.shared.tell(|progress| progress.rebuild = Some(Height::ZERO));
                self.next = Some(writer);
            }
            Err(error) => {
                self.shared.failed(&error);
                self.build_again = Some(Instant::now() + rest(&error));
            }
        }
    }

    /// One turn of the current index; how long it may rest afterwards.
    fn follow(&mut self) -> Duration {
        let end = step(&mut self.current, self.source.as_ref(), &self.shared);
        let behind = self.source.head().map_or(0, |head| head.0.saturating_sub(self.current.height().0));
        let (indexed, first) = (self.current.height(), self.current.first());
        match end {
            Ok(applied) => {
                let (state, rest) = match applied {
                    Applied::Waiting => (IndexState::Waiting, IDLE),
                    Applied::AtHead(_) => (IndexState::Following, IDLE),
                    Applied::Some(_) if behind <= FOLLOWING_MAX => (IndexState::Following, Duration::ZERO),
                    Applied::Some(_) => (IndexState::CatchingUp, BREATH),
                };
                self.shared.tell(|progress| {
                    progress.state = state;
                    progress.problem = None;
                    progress.indexed = indexed;
                    progress.first = first;
                });
                if self.turns.is_multiple_of(CHECKPOINT_TURNS) && state == IndexState::CatchingUp {
                    drop(self.current.checkpoint());
                }
                rest
            }
            Err(error) => {
                self.shared.failed(&error);
                self.halted = error.is_final();
                if self.halted {
                    self.begin_rebuild();
                    return IDLE;
                }
                let rest = rest(&error);
                self.follow_again = Some(Instant::now() + rest);
                rest
            }
        }
    }

    /// One turn of the rebuild, if there is one; how long it may rest afterwards.
    fn build(&mut self) -> Duration {
        if self.wanted {
            self.begin_rebuild();
        }
        let Some(next) = &mut self.next else { return left(self.build_again).unwrap_or(IDLE) };
        let end = step(next, self.source.as_ref(), &self.shared);
        // On disk before the old one goes: a power cut must not leave neither.
        let end = end.and_then(|applied| match applied {
            Applied::AtHead(_) => next.finish().map(|()| applied),
            Applied::Some(_) | Applied::Waiting => Ok(applied),
        });
        match end {
            Ok(Applied::AtHead(_)) => {
                self.switch();
                Duration::ZERO
            }
            Ok(Applied::Some(_)) => {
                let height = next.height();
                self.shared.tell(|progress| progress.rebuild = Some(height));
                BREATH
            }
            Ok(Applied::Waiting) => IDLE,
            Err(error) => {
                self.shared.failed(&error);
                // What may pass, as a full disk does, must not cost hours of work; all else begins anew.
                if error.is_final()
                    && let Some(next) = self.next.take()
                {
                    let number = next.number();
                    drop(next);
                    self.home.remove(number);
                    self.shared.tell(|progress| progress.rebuild = None);
                }
                let rest = rest(&error);
                self.build_again = Some(Instant::now() + rest);
                rest
            }
        }
    }

    /// Removes replaced indexes that nobody reads any more; what is left at the end goes at the next start.
    fn remove_retired(&mut self) {
        let home = &self.home;
        self.retired.retain(|(readers, number)| {
            let is_read = Arc::strong_count(readers) > 1;
            if !is_read {
                home.remove(*number);
            }
            is_read
        });
    }

    /// Looks how large the index is: now and then, since a server has to add up what it holds.
    fn measure(&mut self) {
        if self.measured.is_some_and(|measured| measured.elapsed() < MEASURE) {
            return;
        }
        if let Ok(bytes) = self.current.bytes(self.home.as_ref()) {
            self.shared.bytes.store(bytes, Relaxed);
            self.measured = Some(Instant::now());
        }
    }

    /// The finished rebuild serves from here on.
    fn switch(&mut self) {
        let Some(next) = self.next.take() else { return };
        let old = std::mem::replace(&mut self.current, next);
        let readers = Arc::new(self.home.readers(self.current.number()));
        let before = std::mem::replace(&mut *self.shared.readers.write(), readers);
        self.retired.push((before, old.number()));
        let (indexed, first, place) = (self.current.height(), self.current.first(), self.current.name().to_owned());
        (self.halted, self.wanted) = (false, false);
        self.measured = None;
        self.shared.tell(|progress| {
            *progress = Progress { state: IndexState::Following, problem: None, indexed, first, rebuild: None, place };
        });
        drop(old);
        tracing::info!(height = %indexed, "the rebuilt index serves");
    }
}

/// The next blocks of an index; before the first, the state, if the ledger has forgotten blocks.
fn step(writer: &mut Writer, source: &dyn Source, shared: &Shared) -> Result<Applied, IndexError> {
    if writer.needs_seed(source)? {
        let Some(head) = source.head() else { return Ok(Applied::Waiting) };
        tracing::info!(%head, "blocks are not kept here from the first on: the index takes its records from the state");
        let began = Instant::now();
        writer.seed(source, &|| !shared.stop.load(Relaxed))?;
        tracing::info!(seconds = began.elapsed().as_secs(), "the index has taken its records from the state");
        return Ok(Applied::Some(0));
    }
    let applied = writer.apply(source, BLOCKS_MAX, WRITE_TIME)?;
    if let Applied::Some(blocks) | Applied::AtHead(blocks) = applied {
        shared.blocks.fetch_add(u64::try_from(blocks).unwrap_or(0), Relaxed);
    }
    Ok(applied)
}
