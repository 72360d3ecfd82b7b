//! Allocation and panics inside a contract.
//!
//! A call gets fresh memory and gives all of it back at its end, so allocation only moves a mark upwards; only the
//! newest allocation can be returned or grown in place.
#![allow(unsafe_code, reason = "an allocator is unsafe by its interface")]

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    fmt::Write,
};

const PAGE_BYTES: usize = 64 << 10;

struct Bump(UnsafeCell<Marks>);

struct Marks {
    /// First free byte; 0 before the first use.
    next: usize,
    /// End of memory.
    end: usize,
}

// SAFETY: contracts have one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump(UnsafeCell::new(Marks { next: 0, end: 0 }));

unsafe extern "C" {
    /// Set by the linker to the end of static data.
    static __heap_base: u8;
}

impl Marks {
    /// Makes sure that memory reaches `end`.
    fn reach(&mut self, end: usize) -> bool {
        if end > self.end {
            let pages = (end - self.end).div_ceil(PAGE_BYTES);
            if core::arch::wasm32::memory_grow(0, pages) == usize::MAX {
                return false;
            }
            self.end += pages * PAGE_BYTES;
        }
        true
    }
}

// SAFETY: every block lies between the mark before and after it, inside of memory, and no two overlap.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and no reference to the marks outlives a method.
        let marks = unsafe { &mut *self.0.get() };
        if marks.end == 0 {
            marks.next = (&raw const __heap_base) as usize;
            marks.end = core::arch::wasm32::memory_size(0) * PAGE_BYTES;
        }
        let Some(start) = marks.next.checked_next_multiple_of(layout.align()) else { return core::ptr::null_mut() };
        let Some(end) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        if !marks.reach(end) {
            return core::ptr::null_mut();
        }
        marks.next = end;
        start as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let marks = unsafe { &mut *self.0.get() };
        if block as usize + layout.size() == marks.next {
            marks.next = block as usize;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        {
            // SAFETY: as in `alloc`; dropped before `alloc` is called below.
            let marks = unsafe { &mut *self.0.get() };
            if block as usize + layout.size() == marks.next {
                let Some(end) = (block as usize).checked_add(size) else { return core::ptr::null_mut() };
                if !marks.reach(end) {
                    return core::ptr::null_mut();
                }
                marks.next = end;
                return block;
            }
        }
        // SAFETY: the caller upholds the contract of `realloc`: `size` is not zero and fits with the alignment.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both blocks are live, do not overlap, and hold at least the smaller size.
            unsafe { core::ptr::copy_nonoverlapping(block, new, layout.size().min(size)) };
        }
        new
    }
}

/// A message cut to its bound.
struct Message {
    bytes: [u8; crate::limits::MESSAGE_BYTES_MAX],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let mut n = text.len().min(self.bytes.len() - self.len);
        while !text.is_char_boundary(n) {
            n -= 1;
        }
        self.bytes[self.len..self.len + n].copy_from_slice(&text.as_bytes()[..n]);
        self.len += n;
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // Constant messages only: formatting code would double the size of a small contract.
    let mut message = Message { bytes: [0; crate::limits::MESSAGE_BYTES_MAX], len: 0 };
    let _ = message.write_str(info.message().as_str().unwrap_or("panic"));
    if let Some(place) = info.location() {
        let _ = message.write_str(" at ");
        let _ = message.write_str(place.file());
        let _ = message.write_str(":");
        write_number(&mut message, place.line());
    }
    crate::sys::abort(core::str::from_utf8(&message.bytes[..message.len]).unwrap_or("panic"))
}

fn write_number(message: &mut Message, mut number: u32) {
    let mut digits = [0; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    let _ = message.write_str(core::str::from_utf8(&digits[at..]).unwrap_or(""));
}
