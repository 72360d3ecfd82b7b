//! Checks a block's header and certificate, as the API gives them, by validator sets that a proof leads to.

use serde::Deserialize;
use serde_json::json;
use vouch_types::{
    ChainId,
    light::{FinalityProof, LightClient, ProofBundle},
};

use crate::CHAIN_BYTES;

/// The part of the API's answer about a block that is checked; the rest is passed over.
#[derive(Deserialize)]
struct Shown {
    header: vouch_types::block::Header,
    certificate: vouch_types::certificate::CommitCertificate,
}

/// Who signed the block, as JSON; else why it is not final.
///
/// # Errors
/// The verifier's text.
pub fn check(input: &[u8]) -> Result<String, String> {
    let (chain, rest) = input.split_first_chunk::<CHAIN_BYTES>().ok_or("a chain id has 32 bytes")?;
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("the length of the proof is missing")?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|error| error.to_string())?;
    let (proof, text) = rest.split_at_checked(length).ok_or("the proof is shorter than its length says")?;
    let chain = ChainId(*chain);
    let bundle = ProofBundle::from_bytes(proof).map_err(|error| error.to_string())?;
    let Shown { header, certificate } = serde_json::from_slice(text).map_err(|error| error.to_string())?;

    // The whole bundle, so that the sets it leads to are those of a final block.
    bundle.verify(chain).map_err(|error| error.to_string())?;
    let anchor = bundle.finality.header.height;
    if header.height > anchor {
        return Err(format!("block {} is above {anchor}, up to which the validator sets are known", header.height));
    }
    let mut client = LightClient::from_genesis(chain, &bundle.genesis, bundle.first_set.clone())
        .map_err(|error| error.to_string())?;
    for change in &bundle.set_changes {
        client.advance(&change.finality, Some(change.next_set.clone())).map_err(|error| error.to_string())?;
    }
    let finality = FinalityProof { header, certificate };
    client.verify_at(&finality).map_err(|error| error.to_string())?;

    let FinalityProof { header, certificate } = finality;
    let set = client.set_at(header.height).ok_or("no validators are known for this height")?;
    let signed = |index: usize| certificate.signatures.iter().any(|entry| usize::from(entry.validator) == index);
    let validators =
        set.members().iter().enumerate().map(
            |(index, validator)| json!({ "key": validator.key, "power": validator.power, "signed": signed(index) }),
        );
    let validators: Vec<_> = validators.collect();
    Ok(json!({ "height": header.height, "block": header.hash(), "time_ms": header.time, "validators": validators })
        .to_string())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_too_short_is_refused() {
        assert!(check(&[]).is_err());
        assert!(check(&[0; 35]).is_err());
        let mut longer_than_there_is = vec![0; 40];
        longer_than_there_is[32] = 200;
        assert!(check(&longer_than_there_is).is_err());
    }
}
