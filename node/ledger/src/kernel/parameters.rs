//! The numbers every node shares, changed by name while the chain runs.

use vouch_genesis::{ChainParams, DecisionKind};
use vouch_types::encode;
use wincode::{SchemaRead, SchemaWrite};

use super::{
    Authority, announce, decided,
    refusal::{Stop, bad_arguments, refuse},
    store,
};
use crate::{registry::Record, session::Session};

/// One parameter by name, as `idle_interval_ms` or `thresholds.membership`.
#[derive(Debug, Clone, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// A decimal number, or a threshold as `> 2/3`.
    pub value: String,
}

/// Changes parameters from the next height on, all or none.
#[derive(Debug, SchemaRead, SchemaWrite)]
pub struct SetParameters {
    /// Which, and to what.
    pub changes: Vec<Parameter>,
}

/// Every parameter with its value as text, in the order of their definition.
#[must_use]
pub fn parameter_texts(params: &ChainParams) -> Vec<Parameter> {
    let number = |name: &str, value: u64| Parameter { name: name.into(), value: value.to_string() };
    let mut all = vec![
        number("block_bytes_max", params.block_bytes_max.into()),
        number("block_transactions_max", params.block_transactions_max.into()),
        number("transaction_bytes_max", params.transaction_bytes_max.into()),
        number("fuel_per_transaction_max", params.fuel_per_transaction_max),
        number("fuel_per_block_max", params.fuel_per_block_max),
        number("expiry_window", params.expiry_window),
        number("block_interval_ms", params.block_interval_ms.into()),
        number("idle_interval_ms", params.idle_interval_ms.into()),
        number("timeout_propose_ms", params.timeout_propose_ms.into()),
        number("timeout_vote_ms", params.timeout_vote_ms.into()),
        number("timeout_growth_ms", params.timeout_growth_ms.into()),
        number("timeout_max_ms", params.timeout_max_ms.into()),
        number("clock_drift_max_ms", params.clock_drift_max_ms.into()),
        number("proposal_hours_max", params.proposal_hours_max.into()),
        number("proposals_per_member_max", params.proposals_per_member_max.into()),
        number("packages_per_member_max", params.packages_per_member_max.into()),
    ];
    all.extend(
        DecisionKind::ALL.into_iter().map(|kind| Parameter {
            name: format!("thresholds.{kind}"),
            value: params.thresholds.of(kind).to_string(),
        }),
    );
    all
}

fn number<T: TryFrom<u64>>(name: &str, value: &str) -> Result<T, Stop> {
    let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let parsed = value.parse::<u64>().ok().filter(|_| digits).and_then(|n| T::try_from(n).ok());
    parsed.ok_or_else(|| bad_arguments(format!("{name}: {value:?} is not a number that fits")))
}

fn change(params: &mut ChainParams, name: &str, value: &str) -> Result<(), Stop> {
    match name {
        "block_bytes_max" => params.block_bytes_max = number(name, value)?,
        "block_transactions_max" => params.block_transactions_max = number(name, value)?,
        "transaction_bytes_max" => params.transaction_bytes_max = number(name, value)?,
        "fuel_per_transaction_max" => params.fuel_per_transaction_max = number(name, value)?,
        "fuel_per_block_max" => params.fuel_per_block_max = number(name, value)?,
        "block_interval_ms" => params.block_interval_ms = number(name, value)?,
        "idle_interval_ms" => params.idle_interval_ms = number(name, value)?,
        "timeout_propose_ms" => params.timeout_propose_ms = number(name, value)?,
        "timeout_vote_ms" => params.timeout_vote_ms = number(name, value)?,
        "timeout_growth_ms" => params.timeout_growth_ms = number(name, value)?,
        "timeout_max_ms" => params.timeout_max_ms = number(name, value)?,
        "clock_drift_max_ms" => params.clock_drift_max_ms = number(name, value)?,
        "proposal_hours_max" => params.proposal_hours_max = number(name, value)?,
        "proposals_per_member_max" => params.proposals_per_member_max = number(name, value)?,
        "packages_per_member_max" => params.packages_per_member_max = number(name, value)?,
        // How long ids are remembered: nodes that keep few blocks could no longer tell what happened before.
        "expiry_window" => return Err(refuse("system.parameter_fixed", "expiry_window is as the founders set it")),
        _ => {
            let kind = name.strip_prefix("thresholds.").and_then(DecisionKind::from_text);
            let kind =
                kind.ok_or_else(|| refuse("system.unknown_parameter", format!("there is no parameter {name}")))?;
            *params.thresholds.of_mut(kind) = value
                .parse()
                .map_err(|e: vouch_genesis::threshold::ParseThresholdError| bad_arguments(e.to_string()))?;
        }
    }
    Ok(())
}

pub(super) fn set(session: &mut Session, authority: &Authority, request: &SetParameters) -> Result<(), Stop> {
    decided(authority, "set_parameters")?;
    if request.changes.is_empty() {
        return Err(bad_arguments("name at least one parameter"));
    }
    let mut params = session.registry.params.clone();
    for Parameter { name, value } in &request.changes {
        change(&mut params, name, value)?;
    }
    params.validate().map_err(|e| bad_arguments(e.to_string()))?;
    store(session, Record::Params(params));
    announce(session, "ParametersChanged", encode(&request.changes));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_can_be_written_as_it_is_read() {
        let before = ChainParams::default();
        let all = parameter_texts(&before);
        assert_eq!(all.len(), fields(&before));
        let mut after = ChainParams { block_bytes_max: 1, thresholds: Default::default(), ..before };
        for Parameter { name, value } in all.iter().filter(|p| p.name != "expiry_window") {
            change(&mut after, name, value).unwrap();
        }
        assert_eq!(after, before);
        for (name, value) in [
            ("block_bytes_max", "-1"),
            ("block_bytes_max", "4294967296"),
            ("thresholds.nodes", "2/3"),
            ("nothing", "1"),
        ] {
            assert!(change(&mut after, name, value).is_err(), "{name} {value}");
        }
        assert!(
            matches!(change(&mut after, "expiry_window", "1"), Err(Stop::Refused(f)) if f.code == "system.parameter_fixed")
        );
    }

    /// How many there are; a new field does not compile until it is here.
    fn fields(params: &ChainParams) -> usize {
        let ChainParams {
            block_bytes_max: _,
            block_transactions_max: _,
            transaction_bytes_max: _,
            fuel_per_transaction_max: _,
            fuel_per_block_max: _,
            expiry_window: _,
            block_interval_ms: _,
            idle_interval_ms: _,
            timeout_propose_ms: _,
            timeout_vote_ms: _,
            timeout_growth_ms: _,
            timeout_max_ms: _,
            clock_drift_max_ms: _,
            thresholds: _,
            proposal_hours_max: _,
            proposals_per_member_max: _,
            packages_per_member_max: _,
        } = params;
        16 + DecisionKind::ALL.len()
    }
}
