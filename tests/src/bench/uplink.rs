//! Bulk uplink: documents a second of a month in files of every kind, and memory while a large table and a large file pass.

use std::{
    io::{BufWriter, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Figure, Scale, kills};
use crate::{
    cluster::{Cluster, Options, Output, peak_memory, peak_of},
    month::{self, CLIENTS, Month},
};

/// The month is always the same.
const SEED: u64 = 7;
/// The member whose files are large.
const INSTITUTION: usize = 1;
/// A month of 20,000 documents is a matter of minutes.
const DOCUMENTS_PER_SECOND_MIN: f64 = 100.0;
/// Most memory of the command while what is large passes, in millions of bytes.
const MEMORY_MB_MAX: f64 = 300.0;
const MIB: u64 = 1 << 20;
const HEAD: &str = "姓名,证件类型,证件号码,手机号码,居住地址,开户行,银行卡号,核验方式,核验结果,核验时间,证件影像\n";

pub(super) async fn measure(scale: Scale) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("performance-uplink", "uplink", "four nodes and the command that uplinks");
    let mut cluster = Cluster::start(Options { accounts: 4, ..Options::default() }).await?;
    month::found(&cluster).await?;
    let month = Month::write(&cluster, scale.of(20_000, 300), SEED).await?;
    whole_month(&cluster, &month, &mut figure).await?;
    large_table(&cluster, &month, scale.of(2_048 * MIB, 32 * MIB), &mut figure).await?;
    large_file(&mut cluster, &month, scale.of(1_024 * MIB, 64 * MIB), &mut figure).await?;
    drop(cluster);
    Ok(vec![figure, kills::measure(scale).await?])
}

/// Every step by its member, as an operator runs it; the clients' signatures between are not in the time.
async fn whole_month(cluster: &Cluster, month: &Month, figure: &mut Figure) -> Result<()> {
    let (mut documents, mut seconds, mut files, mut file_bytes, mut memory) = (0.0, 0.0, 0.0, 0.0, 0);
    let number = |value: &Value| value.as_f64().context("a number in what the command says");
    for step in 0..month.steps.len() {
        let run = cluster.program.command(month.arguments(cluster, step, &month.path(step)));
        let (output, peak) = peak_of(run).await?;
        let said = output.success()?.json()?;
        let sent = number(&said["sent"]["sent"])?;
        ensure!(sent == month.steps[step].documents as f64, "not all of step {step} was sent: {}", said["sent"]);
        let name = month.steps[step].folder.replace('-', "_");
        figure.set(format!("step_{name}_documents_per_second"), number(&said["sent"]["per_second"])?);
        documents += sent;
        seconds += number(&said["sent"]["seconds"])?;
        for schema in said["summary"]["schemas"].as_array().context("schemas")? {
            files += number(&schema["files"])?;
            file_bytes += number(&schema["file_bytes"])?;
        }
        memory = memory.max(peak);
        if step == 0 {
            for client in CLIENTS {
                month::sign(cluster, client, month.steps[0].documents).await?;
            }
        }
    }
    let expected = month.steps.iter().map(|step| step.documents).sum();
    let known = month::as_many(&cluster.client(INSTITUTION)?, expected).await?;
    ensure!(known.len() as f64 == documents, "the chain has other than {documents} documents");
    figure.set("documents", documents);
    figure.at_least("documents_per_second", documents / seconds, DOCUMENTS_PER_SECOND_MIN);
    figure.set("files", files);
    figure.set("files_mb", file_bytes / 1e6);
    figure.at_most("memory_peak_mb", memory as f64 / 1e6, MEMORY_MB_MAX);
    Ok(())
}

/// The command of the institution for a source of its own with the mapping of persons.
async fn uplink(cluster: &Cluster, month: &Month, source: &Path, more: &[&str]) -> Result<(Output, u64, f64)> {
    let mut arguments = month.arguments(cluster, 0, source);
    arguments.extend(more.iter().map(|text| (*text).to_owned()));
    let begun = Instant::now();
    let (output, peak) = peak_of(cluster.program.command(arguments)).await?;
    Ok((output, peak, begun.elapsed().as_secs_f64()))
}

/// A table is read, mapped, looked through and checked for numbers that stand twice.
async fn large_table(cluster: &Cluster, month: &Month, bytes: u64, figure: &mut Figure) -> Result<()> {
    let path = cluster.scratch("large/人员实名认证-large.csv");
    let bytes = write_large(&path, bytes)?;
    let (output, memory, seconds) = uplink(cluster, month, &path, &["--preview"]).await?;
    let summary = output.success()?.json()?["summary"].clone();
    ensure!(summary["rejected"] == 0, "rows of the large table are at fault: {}", summary["schemas"][0]["shown"]);
    std::fs::remove_file(&path)?;
    figure.set("table_mb", bytes as f64 / 1e6);
    figure.set("table_rows", summary["documents"].as_f64().context("rows")?);
    figure.set("table_mb_per_second", bytes as f64 / 1e6 / seconds);
    figure.at_most("table_memory_peak_mb", memory as f64 / 1e6, MEMORY_MB_MAX);
    Ok(())
}

/// One row with a file goes onto the chain and to the own node's disk.
async fn large_file(cluster: &mut Cluster, month: &Month, bytes: u64, figure: &mut Figure) -> Result<()> {
    let folder = cluster.scratch("attached");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("人员实名认证-attached.csv");
    let row = "附件样本,居民身份证,附件000000000000001,15400000000,示例省,示例银行,9999990000000000,人脸比对,通过,2026/10/2 9:08,scan.bin\n";
    std::fs::write(&path, format!("{HEAD}{row}"))?;
    write_random(&folder.join("scan.bin"), bytes)?;
    let node = cluster.process(INSTITUTION)?.id();
    let before = peak_memory(node);
    let (output, memory, seconds) = uplink(cluster, month, &path, &[]).await?;
    let sent = output.success()?.json()?["sent"].clone();
    ensure!(sent["sent"] == 1, "the document with the large file was not sent: {sent}");
    std::fs::remove_file(folder.join("scan.bin"))?;
    figure.set("file_mb", bytes as f64 / 1e6);
    figure.set("file_mb_per_second", bytes as f64 / 1e6 / seconds);
    figure.at_most("file_memory_peak_mb", memory as f64 / 1e6, MEMORY_MB_MAX);
    figure.at_most("file_node_memory_growth_mb", peak_memory(node).saturating_sub(before) as f64 / 1e6, MEMORY_MB_MAX);
    Ok(())
}

/// Bytes that nothing can compress.
fn write_random(path: &Path, bytes: u64) -> Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    let mut stream = blake3::Hasher::new().update(b"attached").finalize_xof();
    let mut piece = vec![0; MIB as usize];
    for _ in 0..bytes / MIB {
        stream.fill(&mut piece);
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}

/// A table of persons of so many bytes, each with a number of its own.
fn write_large(path: &Path, bytes: u64) -> Result<u64> {
    std::fs::create_dir_all(path.parent().context("a folder")?)?;
    let mut out = BufWriter::new(std::fs::File::create(path)?);
    out.write_all(HEAD.as_bytes())?;
    let (mut written, mut number) = (HEAD.len() as u64, 0_u64);
    while written < bytes {
        let line = format!(
            "样本{number},居民身份证,{number:018},15400000000,示例省示例市示例路{}号,示例银行,9999990000000000,人脸比对,通过,2026/10/2 9:08,\n",
            number % 999
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        number += 1;
    }
    out.flush()?;
    Ok(written)
}
