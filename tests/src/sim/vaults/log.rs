//! What nodes log in a run: all of it is kept, to be looked through in the end.

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// What was logged.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<Mutex<String>>);

impl Heard {
    /// As bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone().into_bytes()
    }
}

/// Runs something while what it logs is heard.
pub fn hearing<T>(heard: &Heard, work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(Listener(heard.clone()), work)
}

struct Listener(Heard);

struct Written<'a>(&'a mut String);

impl Visit for Written<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("writing to a text does not fail");
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::DEBUG
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Written(&mut self.0.0.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Written(&mut self.0.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = self.0.0.lock().unwrap();
        text.push('\n');
        event.record(&mut Written(&mut text));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
