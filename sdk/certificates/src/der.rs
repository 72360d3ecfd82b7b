//! The one form in which DER writes what is signed: certificates, requests, lists of revoked certificates.
//!
//! Parsers take more than that one form, and what stands around the signed part is not under its signature. Bytes that
//! differ and are read as the same would give one certificate several fingerprints.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
/// The version of a certificate.
const EXPLICIT_0: u8 = 0xa0;
/// Set in the tag of what consists of other elements.
const CONSTRUCTED: u8 = 0x20;
/// In the tag of an element whose number does not fit into it; X.509 has none.
const LONG_NUMBER: u8 = 0x1f;
/// Elements stand at most so deep within others.
const DEPTH_MAX: u8 = 24;

/// ECDSA with SHA-256, as it is written in requests.
pub(crate) const ECDSA_SHA256: &[u8] = &[0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// Whether these bytes begin as something signed does in DER, and as no text does: all else is taken for PEM, which may have
/// text of another program before it.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    matches!(bytes, [SEQUENCE, 0x80..=0xff, ..])
}

/// `SEQUENCE { what is signed, by which algorithm, BIT STRING }`, and nothing after it.
pub(crate) struct Signed<'a> {
    content: &'a [u8],
    /// By which algorithm, as it is written outside of what is signed.
    pub(crate) algorithm: &'a [u8],
}

impl<'a> Signed<'a> {
    /// `None` when it is not written as DER writes it.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let whole = only(bytes, SEQUENCE)?;
        let (content, rest) = element(whole.content)?;
        let (algorithm, rest) = element(rest)?;
        let signature = only(rest, BIT_STRING)?;
        let is_whole_bytes = signature.content.first() == Some(&0);
        let are_sequences = content.tag == SEQUENCE && algorithm.tag == SEQUENCE;
        (is_whole_bytes && are_sequences && is_canonical(bytes, DEPTH_MAX))
            .then_some(Self { content: content.content, algorithm: algorithm.whole })
    }

    /// Whether the algorithm that stands outside is byte for byte the one that is signed, as certificates and lists name it:
    /// after the version and the serial number, if there are any.
    pub(crate) fn names_its_algorithm(&self) -> bool {
        let mut rest = self.content;
        while let Some((found, after)) = element(rest) {
            if !matches!(found.tag, EXPLICIT_0 | INTEGER) {
                return found.whole == self.algorithm;
            }
            rest = after;
        }
        false
    }
}

struct Element<'a> {
    tag: u8,
    whole: &'a [u8],
    content: &'a [u8],
}

/// One element with its length in the shortest form, and what follows it.
fn element(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0, |length: u64, digit| (length << 8) | u64::from(*digit));
            let is_shortest = length >= 0x80 && digits.first() != Some(&0);
            (usize::try_from(length).ok().filter(|_| is_shortest)?, rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    let whole = bytes.get(..bytes.len() - after.len())?;
    (tag & LONG_NUMBER != LONG_NUMBER).then_some((Element { tag, whole, content }, after))
}

/// The only element there is.
fn only(bytes: &[u8], tag: u8) -> Option<Element<'_>> {
    let (found, rest) = element(bytes)?;
    (found.tag == tag && rest.is_empty()).then_some(found)
}

/// Whether all elements, and those within them, are written as DER writes them.
fn is_canonical(mut bytes: &[u8], depth: u8) -> bool {
    while !bytes.is_empty() {
        let Some((found, rest)) = element(bytes) else { return false };
        let is_deep = found.tag & CONSTRUCTED != 0;
        if is_deep && (depth == 0 || !is_canonical(found.content, depth - 1)) {
            return false;
        }
        bytes = rest;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serial number, algorithm; algorithm; a signature of one byte.
    const GOOD: &[u8] =
        &[0x30, 0x10, 0x30, 0x07, 0x02, 0x01, 0x05, 0x30, 0x02, 0x05, 0x00, 0x30, 0x02, 0x05, 0x00, 0x03, 0x01, 0x00];

    fn is_good(bytes: &[u8]) -> bool {
        Signed::read(bytes).is_some_and(|signed| signed.names_its_algorithm())
    }

    fn wrapped(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).unwrap()], content.as_slice()].concat()
    }

    /// As the good one, with elements within elements after the algorithm.
    fn deep(levels: usize) -> Vec<u8> {
        let within = (0..levels).fold(vec![0x05, 0x00], |within, _| wrapped(SEQUENCE, &[&within]));
        wrapped(SEQUENCE, &[&wrapped(SEQUENCE, &[&GOOD[4..11], &within]), &GOOD[11..]])
    }

    #[test]
    fn other_ways_of_writing_the_same_are_refused() {
        assert!(is_good(GOOD) && is_good(&deep(10)));
        let long = |head: &[u8]| [head, &GOOD[2..]].concat();
        for (bytes, what) in [
            (long(&[0x30, 0x81, 0x10]), "a length in two bytes that fits into one"),
            (long(&[0x30, 0x82, 0x00, 0x10]), "a length with a zero before it"),
            (long(&[0x30, 0x85, 0, 0, 0, 0, 0x10]), "a length of more bytes than any has"),
            ([&[0x30, 0x80], &GOOD[2..], &[0, 0]].concat(), "no length"),
            ([GOOD, &[0]].concat(), "something after it"),
            (GOOD[..17].to_vec(), "something missing"),
            (Vec::new(), "nothing"),
            (vec![0x30; 20_000], "a length beyond the end"),
            (deep(40), "elements in elements"),
        ] {
            assert!(!is_good(&bytes), "{what}");
        }
        for at in 0..GOOD.len() {
            // The serial number is what it says, and under the signature.
            for bit in (0..8).filter(|_| at != 6) {
                let mut bytes = GOOD.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(!is_good(&bytes), "byte {at}, bit {bit}");
            }
        }
    }
}
