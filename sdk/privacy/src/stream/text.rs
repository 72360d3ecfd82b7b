//! Text in pieces that end where a value does not go on.

use std::io::BufRead;

use super::{StreamError, Visitor, Walker};

/// A piece is shown when so much was read.
const PIECE_BYTES: usize = 1 << 20;

pub(super) fn walk<V: Visitor>(input: &mut impl BufRead, walker: &mut Walker<'_, V>) -> Result<(), StreamError> {
    let mut held: Vec<u8> = Vec::with_capacity(PIECE_BYTES);
    loop {
        let available = input.fill_buf()?;
        let taken = available.len();
        held.extend_from_slice(available);
        input.consume(taken);
        let is_end = taken == 0;
        if !is_end && held.len() < PIECE_BYTES {
            continue;
        }
        let end = if is_end { held.len() } else { cut(&held) };
        if end > 0 {
            let rest = held.split_off(end);
            show(&held, walker)?;
            held = rest;
        }
        if is_end {
            return Ok(());
        }
    }
}

fn show<V: Visitor>(piece: &[u8], walker: &mut Walker<'_, V>) -> Result<(), StreamError> {
    walker.begin_record();
    let place = (walker.line, walker.offset);
    let text =
        std::str::from_utf8(piece).map_err(|_| StreamError::Format { line: place.0, why: "not UTF-8".to_owned() })?;
    let replaced = walker.show(None, place, text)?;
    walker.write(replaced.as_deref().unwrap_or(text).as_bytes())?;
    walker.pass(piece);
    Ok(())
}

/// Where to end a piece: behind the last line; else, in one long line, behind the last mark that ends a clause, a blank, or
/// a whole character.
fn cut(held: &[u8]) -> usize {
    if let Some(line) = held.iter().rposition(|byte| *byte == b'\n') {
        return line + 1;
    }
    let mut end = held.len();
    while end > 0 && held.get(end).is_none_or(|byte| byte & 0xc0 == 0x80) && held.len() - end < 4 {
        end -= 1;
    }
    let text = std::str::from_utf8(&held[..end]).unwrap_or_default();
    let behind = |ends: &[char]| text.rfind(ends).and_then(|at| Some(at + text.get(at..)?.chars().next()?.len_utf8()));
    let half = |at: &usize| *at > held.len() / 2;
    let clause = behind(&['。', '，', '；', ';', ',', '}']).filter(half);
    clause.or_else(|| behind(&[' ', '\t']).filter(half)).unwrap_or(end)
}
