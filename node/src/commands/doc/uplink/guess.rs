//! `--guess`: a mapping from names and samples, for a person to mend.

use std::{path::Path, process::ExitCode};

use serde_json::{Value, json};
use vouch_sdk::Client;
use vouch_types::{
    api::QueryBody,
    document::{self, Schema},
};
use vouch_uplink::{
    Fault, Reader, Record, discover, guess, mapping,
    source::{Broken, ReadOptions},
};

use super::{
    super::super::{GlobalArgs, output::emit, tx::parse_contract},
    Args, refused,
};

/// Schemas that are tried.
const SCHEMAS_MAX: u64 = 50;

pub(super) async fn run(
    args: &Args,
    client: &Client,
    unpacked: &Path,
    global: &GlobalArgs,
) -> anyhow::Result<ExitCode> {
    let schemas = match &args.schema {
        Some(name) => {
            let schema = client.schema(name, None).await?;
            vec![schema.ok_or_else(|| refused(&Fault::mapping("--schema", format!("there is no schema {name}"))))?]
        }
        None => registered(client).await?,
    };
    let mut text = format!("format = \"{}\"\n", mapping::FORMAT);
    for source in &args.sources {
        for found in discover(source, unpacked).map_err(|fault| refused(&fault))? {
            let reader = Reader::open(&found, &ReadOptions::default()).map_err(|fault| refused(&fault))?;
            let (mut samples, mut broken) = (Vec::<Record>::new(), None);
            for item in reader.take(guess::SAMPLES) {
                match item {
                    Ok(record) => samples.push(record),
                    Err(Broken::Row(_, fault) | Broken::Stop(fault)) => broken = broken.or(Some(fault)),
                }
            }
            // Some broken records are told when the whole is read; a source without a good one cannot be guessed from.
            if let Some(broken) = broken.filter(|_| samples.is_empty()) {
                return Err(refused(&broken));
            }
            let best = schemas.iter().max_by_key(|schema| guess::fit(schema, &samples));
            let Some(best) = best.filter(|_| !samples.is_empty()) else { continue };
            let name = found.name.rsplit('/').next().unwrap_or(&found.name);
            text.push('\n');
            text.push_str(&guess::mapping_text(best, name, &samples));
        }
    }
    match &args.mapping {
        Some(path) => {
            let place = path.display().to_string();
            let written = vouch_files::write_new(path, text.as_bytes());
            written.map_err(|error| refused(&Fault::io(&place, &error)))?;
            emit(global, &json!({ "mapping": place }), |_| vec![place.clone()])?;
        }
        None => emit(global, &json!({ "mapping": text }), |_| text.lines().map(str::to_owned).collect())?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn registered(client: &Client) -> anyhow::Result<Vec<Schema>> {
    let contract = parse_contract(document::CONTRACT).map_err(anyhow::Error::msg)?;
    let body = QueryBody { arguments: json!({ "after": 0, "limit": SCHEMAS_MAX }), ..QueryBody::default() };
    let entries = client.query(&contract, "list_schemas", body).await?.value.unwrap_or_default();
    let mut names: Vec<String> = entries
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry: &Value| Some(entry["name"].as_str()?.to_owned()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut schemas = Vec::new();
    for name in names {
        schemas.extend(client.schema(&name, None).await?);
    }
    Ok(schemas)
}
