//! Work that gives one item after the other and borrows, from each to the next, from what it owns. As a future it is kept between
//! two items, which an iterator of its own could not be without unsafe code; it waits for nothing but to be asked for the next one.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

/// Takes what the work gives.
pub(super) struct Out<T>(Arc<Mutex<Option<T>>>);

impl<T> Out<T> {
    /// Hands an item out, and goes on when the next one is wanted.
    pub(super) async fn give(&self, item: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(item);
        let mut is_wanted = false;
        poll_fn(|_| if std::mem::replace(&mut is_wanted, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// What the work gives.
pub(super) struct Steps<T> {
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    given: Arc<Mutex<Option<T>>>,
    is_over: bool,
}

impl<T> Steps<T> {
    /// Of work that has not begun.
    pub(super) fn of<W: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Out<T>) -> W) -> Self {
        let given = Arc::new(Mutex::new(None));
        Self { work: Box::pin(work(Out(Arc::clone(&given)))), given, is_over: false }
    }
}

impl<T> Iterator for Steps<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.is_over {
            return None;
        }
        self.is_over = self.work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        self.given.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_goes_as_far_as_it_is_asked_to() {
        let reached = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&reached);
        let mut steps = Steps::of(|out| async move {
            let own = String::from("abc");
            for letter in own.chars() {
                noted.lock().unwrap().push(letter);
                out.give(letter).await;
            }
        });
        assert!(reached.lock().unwrap().is_empty());
        assert_eq!(steps.next(), Some('a'));
        assert_eq!(*reached.lock().unwrap(), ['a']);
        assert_eq!(steps.by_ref().collect::<String>(), "bc");
        assert_eq!(steps.next(), None);
    }
}
