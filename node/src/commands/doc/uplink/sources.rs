//! From what was named to a plan: files found, mappings fitted to schemas of the chain, jobs in order.

use std::path::{Path, PathBuf};

use vouch_sdk::{Client, Issuing};
use vouch_uplink::{
    Applier, Fault, Found, Journal, Mapping, MappingFile, Plan, discover, mapping::MAPPING_BYTES_MAX, plan::Job,
    source::Kind,
};

use super::{Keys, refused, refused_all};

/// A plan and what is needed to send it.
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    /// For each mapping of the plan, what its documents have in common.
    pub issuings: Vec<Issuing>,
    /// Files that no mapping takes.
    pub unused: Vec<String>,
}

/// Prepares a plan.
///
/// # Errors
/// What is wrong with mapping or sources, or that no node answers.
pub async fn prepare(
    client: &Client,
    mapping: &Path,
    sources: &[PathBuf],
    unpacked: &Path,
    keys: Keys,
    journal: &Journal,
) -> anyhow::Result<Prepared> {
    let file = read_mapping(mapping)?;
    let order = file.order().map_err(|fault| refused(&fault))?;
    let mut found = Vec::new();
    for source in sources {
        found.extend(discover(source, unpacked).map_err(|fault| refused(&fault))?);
    }
    // A folder's mapping file is no source.
    found.retain(|file| mapping.canonicalize().ok() != file.path.canonicalize().ok());
    let mut jobs = Vec::new();
    let mut unused: Vec<String> = Vec::new();
    for file_found in found {
        let maps = file.for_source(&file_found.name);
        if maps.is_empty() {
            unused.push(file_found.name.to_string());
        }
        for map in maps {
            jobs.push((map, file_found.clone()));
        }
    }
    if jobs.is_empty() {
        let fault = Fault::mapping(mapping.display().to_string(), "no source fits the patterns in it");
        return Err(refused(&fault));
    }
    let (mut appliers, mut issuings, mut ordered) = (Vec::new(), Vec::new(), Vec::new());
    for map in order {
        let Some(mapping) = file.maps.get(map) else { continue };
        let own: Vec<_> = jobs.iter().filter(|(index, _)| *index == map).map(|(_, found)| found.clone()).collect();
        if own.is_empty() {
            continue;
        }
        let issuing = client.issuing(&mapping.schema, mapping.schema_version).await?;
        let (schema, member) = (issuing.schema().clone(), issuing.member().to_owned());
        let applier = Applier::new(mapping.clone(), schema, member, keys.key.clone(), keys.numbers.clone());
        appliers.push(applier.map_err(|faults| refused_all(&faults))?);
        issuings.push(issuing);
        for found in own {
            let after = mark_name(mapping, &found)?.map(|name| journal.mark(&name)).transpose();
            let after = after.map_err(|fault| refused(&fault))?.flatten();
            ordered.push(Job { found, map: appliers.len() - 1, after });
        }
    }
    Ok(Prepared { plan: Plan::new(appliers, ordered), issuings, unused })
}

/// Under which name the journal keeps how far a database was read; nothing for what is read as a whole every time.
///
/// # Errors
/// `uplink.io`, `uplink.connection`.
pub fn mark_name(mapping: &Mapping, found: &Found) -> anyhow::Result<Option<String>> {
    if mapping.watermark.is_none() || !matches!(found.kind, Kind::Sqlite | Kind::Postgres) {
        return Ok(None);
    }
    found.mark_name(mapping).map(Some).map_err(|fault| refused(&fault))
}

fn read_mapping(path: &Path) -> anyhow::Result<MappingFile> {
    use std::io::Read as _;
    let place = path.display().to_string();
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| refused(&Fault::io(&place, &error)))?;
    let read = file.take(MAPPING_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| refused(&Fault::io(&place, &error)))?;
    MappingFile::parse(&text, &place).map_err(|fault| refused(&fault))
}
