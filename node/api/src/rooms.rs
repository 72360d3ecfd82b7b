//! Room: how many bytes of bodies and answers are held at a time, and how many requests, in all and for each who asks.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use axum::body::Bytes;
use parking_lot::Mutex;
use vouch_types::AccountId;

use crate::ApiError;

/// What is no larger than this is held without a room: the number of requests at a time bounds it.
pub(crate) const SMALL_BYTES: usize = 16 << 10;
/// One holder may have this part of all room, so that none has all of it.
const SHARES: usize = 4;

/// For whom something is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// A caller whose signature is good.
    Account(AccountId),
    /// Anybody.
    Address(IpAddr),
    /// Programs on this machine that ask for themselves, where they are trusted with all there is.
    Machine,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_holder: HashMap<Holder, usize>,
}

/// Room of some kind.
#[derive(Debug, Clone)]
pub(crate) struct Rooms {
    most: usize,
    /// What it counts, in the plural.
    unit: &'static str,
    taken: Arc<Mutex<Taken>>,
}

/// What is held for somebody; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    holder: Holder,
    amount: usize,
    taken: Arc<Mutex<Taken>>,
}

impl Rooms {
    /// For so many bytes.
    pub(crate) fn for_bytes(most: usize) -> Self {
        Self { most, unit: "bytes", taken: Arc::default() }
    }

    /// For so many requests.
    pub(crate) fn for_requests(most: usize) -> Self {
        Self { most, unit: "requests", taken: Arc::default() }
    }

    /// Room for so much. Code: `request.overloaded`.
    pub(crate) fn take(&self, holder: Holder, amount: usize) -> Result<Room, ApiError> {
        let (most, unit) = (self.most, self.unit);
        let share = if holder == Holder::Machine { most } else { most / SHARES };
        let mut taken = self.taken.lock();
        let has = taken.by_holder.get(&holder).copied().unwrap_or(0);
        let own = has.saturating_add(amount);
        // One thing at a time may be as large as it has to be.
        if has > 0 && own > share {
            let detail = format!("{amount} more would be above the {share} {unit} that one caller has at a time");
            return Err(ApiError::new("request.overloaded", detail).retry_after(1));
        }
        let all = taken.all.saturating_add(amount);
        if all > most {
            let detail = format!("{amount} more would be above the {most} {unit} that there are at a time");
            return Err(ApiError::new("request.overloaded", detail).retry_after(1));
        }
        taken.all = all;
        taken.by_holder.insert(holder, own);
        drop(taken);
        Ok(Room { holder, amount, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        taken.all = taken.all.saturating_sub(self.amount);
        match taken.by_holder.get_mut(&self.holder) {
            Some(own) if *own > self.amount => *own -= self.amount,
            _ => {
                taken.by_holder.remove(&self.holder);
            }
        }
    }
}

/// Bytes with their room.
struct Kept {
    bytes: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The same bytes; the room is given back with the last copy of them, whoever keeps it.
pub(crate) fn kept(bytes: Bytes, room: Room) -> Bytes {
    Bytes::from_owner(Kept { bytes, _room: room })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(n: u8) -> Holder {
        Holder::Account(AccountId([n; 32]))
    }

    #[test]
    fn one_has_a_part_and_all_together_the_whole() {
        let rooms = Rooms::for_bytes(400);
        let code = |taken: Result<Room, ApiError>| taken.expect_err("no room").code().to_owned();
        assert_eq!(code(rooms.take(account(1), 401)), "request.overloaded");
        drop(rooms.take(account(1), 400).expect("one large thing"));
        let first = rooms.take(account(1), 60).expect("room");
        assert_eq!(code(rooms.take(account(1), 41)), "request.overloaded");
        let second = rooms.take(account(1), 40).expect("up to its part");
        let others: Vec<Room> = (2..5).map(|n| rooms.take(account(n), 100).expect("others have theirs")).collect();
        assert_eq!(code(rooms.take(Holder::Address([192, 0, 2, 1].into()), 1)), "request.overloaded");
        drop(first);
        let address = rooms.take(Holder::Address([192, 0, 2, 1].into()), 60).expect("room came back");
        drop((second, others, address));
        let taken = rooms.taken.lock();
        assert_eq!((taken.all, taken.by_holder.len()), (0, 0));
    }

    #[test]
    fn what_this_machine_asks_for_is_bounded_by_the_whole_alone() {
        let rooms = Rooms::for_requests(8);
        let own: Vec<Room> = (0..6).map(|_| rooms.take(Holder::Machine, 1).expect("all there is")).collect();
        let address = Holder::Address([192, 0, 2, 1].into());
        let two = [rooms.take(address, 1).expect("room"), rooms.take(address, 1).expect("room")];
        assert_eq!(rooms.take(Holder::Machine, 1).expect_err("none is left").code(), "request.overloaded");
        drop(own);
        let refused = rooms.take(address, 1).expect_err("a quarter");
        assert_eq!(refused.code(), "request.overloaded");
        drop(two);
        drop(rooms.take(address, 1).expect("it was given back"));
    }

    #[test]
    fn bytes_keep_their_room_as_long_as_somebody_has_them() {
        let rooms = Rooms::for_bytes(400);
        let bytes = kept(Bytes::from(vec![7; 100]), rooms.take(account(1), 100).expect("room"));
        let part = bytes.slice(10..12);
        drop(bytes);
        assert_eq!((part.as_ref(), rooms.taken.lock().all), (&[7, 7][..], 100));
        drop(part);
        assert_eq!(rooms.taken.lock().all, 0);
    }
}
