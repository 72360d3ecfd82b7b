//! What figures come to, in words: a text for some measurements, with the measured values in it, so that none of its numbers is
//! ever written by hand.

use crate::figures::Figure;

/// Texts by the name of the measurement. `{key}` stands for the value of a figure.
const NOTES: &[(&str, &str)] = &[("performance-cost", COST), ("performance-delay", DELAY)];

const COST: &str = "\
What each part comes to, in microseconds of processor time for a transaction at each node, and what would move it:

| part | µs | what would move it |
|---|---:|---|
| decoding | {decode_us} | Nothing worth doing. |
| signatures | {signatures_us} | They are checked in batches as transactions come in, once at each node; by itself one takes {signature_checked_by_itself_us}. Several calls in a transaction share its signature. |
| contract | {execute_us} | The largest part of what the one thread does that makes blocks: an instance of its own for each call, and reading state. Keeping values that were read or written lately in memory would save reads; a second thread would help where processors are idle, which they are not here. |
| tree and batch | {tree_and_batch_us} | New keys cost least, old ones anywhere most: see the state tree. |
| store | {commit_us} | One synced write a block. With blocks of {small_block_transactions} transactions it is {commit_with_small_blocks_us}, so fuller blocks move it, up to those of {large_block_transactions} measured here. |
| consensus | {consensus_us} | {consensus_us_per_block} for a block however full, here shared by {block_transactions} transactions: a longer interval, fuller blocks. |
| network | {network_us} | A node receives a transaction twice: as it is relayed ({received_transactions_bytes} bytes a transaction) and in its block ({received_blocks_bytes}). A block that names what its receivers have already would save most of the second. |
| HTTP | {http_us} | Batches, as the SDK sends them; one request for each transaction costs a multiple. |
| index | {index_us} | It is written beside the chain; a node that nobody asks for lists can do without (`index.enabled`). |
| database in the background | {database_background_us} | Flushes and compactions: what the tree and the store write, and how often it is written again. |

Together {sum_of_parts_us}, where the nodes were seen to use {whole_us}: the parts were measured apart, the first five without anything
beside them. What costs most is moved first: signatures and contract. Consensus and network are small as long as blocks are full.
";

const DELAY: &str = "\
A transaction waits half an interval for its block on average; three of four come in at another node than the next proposer's and pass
one line before; the block is final when a proposal, prevotes and precommits have passed one line each. With lines of 50 ms and
blocks every {block_interval_set_ms} ms that is {one_way_50_ms_lines_and_pace_ms} ms before any processor did anything. Measured were
{one_way_50_ms_light_load_latency_p50_ms} ms under a light load and {one_way_50_ms_half_load_latency_p50_ms} ms at half of what the chain
takes, where making, checking and writing blocks of all four nodes, the load generator and the relays share the machine.

What would move it: a processor for each node, since three validators check a block at the same time; checking with less work (see
the cost of a transaction). What waits is executed ahead of the moment at which it is proposed, where the lines leave time for it. What
would not: a shorter interval than the bar's 250 ms, which wins half of what it is shorter by; blocks closed ahead of time, since what
comes in meanwhile waits for the next one; fewer passes of the line, which finality with one of four nodes lying does not allow.
";

/// The text for a measurement with its values; nothing where there is none, or where an older measurement lacks a value.
#[must_use]
pub fn of(figure: &Figure, number: impl Fn(f64) -> String) -> Option<String> {
    let (_, text) = NOTES.iter().find(|(name, _)| *name == figure.name)?;
    fill(text, |key| figure.figures.get(key).map(|value| number(*value)))
}

fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, behind) = after.split_once('}')?;
        filled += before;
        filled += &value(key)?;
        rest = behind;
    }
    Some(filled + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_in_the_text_and_a_missing_one_leaves_it_out() {
        let value = |key: &str| (key == "rate").then(|| "7".to_owned());
        assert_eq!(fill("{rate} a second, {rate}.", value).as_deref(), Some("7 a second, 7."));
        assert_eq!(fill("{rate} of {unknown}", value), None);
        assert_eq!(fill("without any", value).as_deref(), Some("without any"));
        for (name, text) in NOTES {
            assert!(fill(text, |key| (!key.is_empty()).then(|| "1".into())).is_some(), "{name}");
        }
    }
}
