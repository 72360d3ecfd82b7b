//! How much may be held in memory at a time, by everyone together.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Bytes that may be held.
#[derive(Debug)]
pub struct Budget {
    held: Mutex<u64>,
    freed: Condvar,
    most: u64,
}

/// A part of a budget; given back when dropped.
#[derive(Debug)]
pub struct Held {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// Of so many bytes.
    #[must_use]
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(0), freed: Condvar::new(), most })
    }

    /// Waits until there is room for so many bytes. What is larger than all of it waits until nothing else is held.
    #[must_use]
    pub fn take(self: &Arc<Self>, bytes: u64) -> Held {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |held: &mut u64| *held > 0 && held.saturating_add(bytes) > self.most;
        let mut held = self.freed.wait_while(held, is_full).unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_add(bytes);
        Held { budget: Arc::clone(self), bytes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.budget.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(self.bytes);
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[test]
    fn who_finds_no_room_waits_for_it() {
        let budget = Budget::new(10);
        let (small, other) = (budget.take(4), budget.take(6));
        let (sender, receiver) = mpsc::channel();
        let waiting = thread::spawn({
            let budget = Arc::clone(&budget);
            move || {
                let large = budget.take(100);
                sender.send(*budget.held.lock().unwrap()).unwrap();
                drop(large);
                drop(budget.take(10));
            }
        });
        drop(small);
        assert!(receiver.try_recv().is_err());
        drop(other);
        assert_eq!(receiver.recv().unwrap(), 100);
        waiting.join().unwrap();
        assert_eq!(*budget.held.lock().unwrap(), 0);
    }
}
