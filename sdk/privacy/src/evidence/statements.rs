//! Says plainly what was verified and what was not.

use super::{
    findings::{DocumentFindings, Report, Statement},
    summary::time_text,
};

fn statement(code: &'static str, en: impl Into<String>, zh: impl Into<String>) -> Statement {
    Statement { code, en: en.into(), zh: zh.into() }
}

/// Fills in both lists.
pub(super) fn state(report: &mut Report, is_chain_given: bool, has_timestamp: bool) {
    let (mut verified, mut claimed) = (Vec::new(), Vec::new());
    let chain = report.chain;
    if is_chain_given {
        verified.push(statement(
            "verified.chain",
            format!("it is of chain {chain}, from genesis through every set of validators"),
            format!("属于链 {chain}，自创世起逐次核验验证者集合"),
        ));
    } else {
        claimed.push(statement(
            "claimed.chain",
            format!("that {chain} is the chain you mean: compare this id with one from a source you trust"),
            format!("该链（{chain}）即所指之链：请与可信来源的链标识比对"),
        ));
    }
    verified.push(statement(
        "verified.seal",
        format!("all members are those that the key {} sealed", report.made.key),
        format!("全部内容与密钥 {} 的封签一致", report.made.key),
    ));
    for document in &report.documents {
        verify_document(document, &mut verified);
        claim_document(document, &mut claimed);
    }
    if let Some(audit) = &report.audit {
        let (from, to) =
            (audit.records.first().map_or(0, |line| line.number), audit.records.last().map_or(0, |line| line.number));
        verified.push(statement(
            "verified.audit",
            format!(
                "records {from} to {to} of the access log of {} at {} are without gaps and anchored on the chain",
                audit.node, audit.member
            ),
            format!("{} 节点 {} 的访问日志第 {from} 至 {to} 条连续且已锚定上链", audit.member, audit.node),
        ));
        claimed.push(statement(
            "claimed.audit",
            "that the node logged every access, and its clock",
            "该节点记录了全部访问，且其时钟准确",
        ));
    }
    claim_maker(report, &mut claimed, has_timestamp);
    (report.verified, report.claimed) = (verified, claimed);
}

fn verify_document(document: &DocumentFindings, verified: &mut Vec<Statement>) {
    let name = format!("{} version {}", document.id, document.version);
    let name_zh = format!("{} 第 {} 版", document.id, document.version);
    let (height, state) = (document.as_of.height, document.state);
    verified.push(statement(
        "verified.record",
        format!("{name}: issued by {}, {state:?} after block {height}", document.issuer),
        format!("{name_zh}：由 {} 签发，区块 {height} 之后的状态为 {state:?}", document.issuer),
    ));
    let fields: Vec<&str> = document.fields.iter().map(|field| field.name.as_str()).collect();
    verified.push(statement(
        "verified.fields",
        format!("{name}: {} as committed to by root {}", fields.join(", "), document.root),
        format!("{name_zh}：字段 {} 与承诺根 {} 一致", fields.join("、"), document.root),
    ));
    if let Some(submission) = &document.submission {
        verified.push(statement(
            "verified.submission",
            format!(
                "{name}: put on the chain by transaction {} in block {}",
                submission.transaction, submission.height
            ),
            format!("{name_zh}：由交易 {} 于区块 {} 上链", submission.transaction, submission.height),
        ));
    }
    for file in &document.attachments {
        let whole = file.shown == file.bytes;
        verified.push(statement(
            if whole { "verified.file" } else { "verified.file_part" },
            format!("{name}: {} of {} bytes of the file {}", file.shown, file.bytes, file.name),
            format!("{name_zh}：附件 {} 的 {} / {} 字节", file.name, file.shown, file.bytes),
        ));
    }
}

fn claim_document(document: &DocumentFindings, claimed: &mut Vec<Statement>) {
    let name = format!("{} version {}", document.id, document.version);
    let name_zh = format!("{} 第 {} 版", document.id, document.version);
    let time = time_text(document.as_of.time_ms);
    claimed.push(statement(
        "claimed.later",
        format!("{name}: that nothing changed after block {} ({time})", document.as_of.height),
        format!("{name_zh}：区块 {}（{time}）之后未发生变更", document.as_of.height),
    ));
    if document.submission.is_none() {
        claimed.push(statement(
            "claimed.submission",
            format!("{name}: the transaction of its submission is not here; its time is that of the state's record"),
            format!("{name_zh}：未附提交交易，提交时间以状态记录为准"),
        ));
    }
    for reference in document.references.iter().filter(|reference| !reference.is_here) {
        claimed.push(statement(
            "claimed.reference",
            format!(
                "{name}: what {} ({} version {}) says, which is not here",
                reference.name, reference.id, reference.version
            ),
            format!("{name_zh}：所引用的 {}（{} 第 {} 版）未包含在内", reference.name, reference.id, reference.version),
        ));
    }
}

fn claim_maker(report: &Report, claimed: &mut Vec<Statement>, has_timestamp: bool) {
    let made = &report.made;
    claimed.push(statement(
        "claimed.maker",
        format!(
            "that the key belongs to {}, that the package was made on {}, and its statement",
            made.member,
            time_text(made.at)
        ),
        format!("该密钥属于 {}、制作时间为 {}，以及其陈述内容", made.member, time_text(made.at)),
    ));
    if has_timestamp {
        claimed.push(statement(
            "claimed.timestamp",
            "the time stamp names this manifest; check its authority with: openssl ts -verify -in timestamp.tsr -data manifest.json",
            "时间戳所指为本清单；其签发机构须另行核验：openssl ts -verify -in timestamp.tsr -data manifest.json",
        ));
    }
    claimed.push(statement(
        "claimed.content",
        "that what the fields say is true: the chain shows who committed to it and when, not that it happened",
        "字段内容属实：链上仅证明何人于何时作出该承诺，不证明事实本身",
    ));
}
