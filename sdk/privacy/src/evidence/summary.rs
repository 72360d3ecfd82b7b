//! The summary for people: one HTML file in Chinese that needs nothing beside it. It is a function of what was verified, so
//! a verifier makes it again and compares: it cannot say more than the proofs.

use core::fmt::Write as _;

use serde_json::Value;
use vouch_types::{
    ChainId, TimestampMs,
    document::{Category, ErasureState, Moment, Party, VersionState},
};

use super::{
    content::Made,
    findings::{AuditFindings, DocumentFindings, FieldFinding},
};

const HEAD: &str = "<!doctype html>\n<html lang=\"zh-CN\">\n<head>\n<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>存证摘要</title>\n<style>\n\
body{font:16px/1.6 \"Noto Sans CJK SC\",\"PingFang SC\",\"Microsoft YaHei\",sans-serif;color:#1a1a1a;max-width:52rem;margin:2rem auto;padding:0 1rem}\n\
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid #bbb}\n\
table{border-collapse:collapse;width:100%}th,td{border:1px solid #ccc;padding:.35rem .6rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}\n\
th{background:#f3f3f3;font-weight:600;width:12rem}code{font-size:.85em}.note{color:#555;font-size:.9rem}\n\
@media print{body{margin:0;max-width:none}}\n</style>\n</head>\n<body>\n";

/// Writes it.
pub(super) fn html(
    chain: ChainId,
    made: &Made,
    documents: &[DocumentFindings],
    audit: Option<&AuditFindings>,
) -> String {
    let mut out = String::from(HEAD);
    out.push_str("<h1>区块链全链路凭证存证摘要</h1>\n");
    out.push_str(
        "<p class=\"note\">本页由证据包内的证明生成，仅供阅读。有效性以 <code>vouch verify</code> 对整个文件的核验结果为准；\
         核验时须自可信来源取得链标识并比对。</p>\n",
    );
    table(
        &mut out,
        &[
            ("链标识", code(&chain)),
            ("制作方（自述）", escaped(&made.member)),
            ("制作时间（自述）", escaped(&time_text(made.at))),
            ("制作密钥", code(&made.key)),
            ("用途", escaped(&made.purpose)),
            ("陈述（自述）", escaped(&made.statement)),
        ],
    );
    for (number, document) in (1..).zip(documents) {
        self::document(&mut out, number, document);
    }
    if let Some(audit) = audit {
        access_log(&mut out, audit);
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn document(out: &mut String, number: usize, document: &DocumentFindings) {
    let (title, category) = (escaped(&document.titles[1]), category_text(document.category));
    let _ = writeln!(out, "<h2>凭证 {number}：{title}（{category}）</h2>");
    let mut rows = vec![
        ("凭证编号", format!("{}，第 {} 版（最新为第 {} 版）", code(&document.id), document.version, document.latest)),
        ("签发方", escaped(&document.issuer)),
        (
            "状态",
            format!(
                "{}，截至区块 {}（{}）",
                state_text(document.state),
                document.as_of.height,
                moment(&document.as_of)
            ),
        ),
        (
            "提交",
            format!(
                "区块 {}（{}），账户 {}",
                document.submitted.height,
                moment(&document.submitted),
                code(&document.submitter)
            ),
        ),
        ("承诺根", code(&document.root)),
        ("模式", format!("{} 第 {} 版", escaped(&document.schema), document.schema_version)),
        (
            "核验结论",
            format!(
                "接受 {}，拒绝 {}；未结争议 {}；{}",
                document.verdicts[0],
                document.verdicts[1],
                document.disputes,
                erasure_text(document.erasure)
            ),
        ),
    ];
    if let Some(effective) = &document.effective {
        rows.push(("生效", moment(effective)));
    }
    if let Some(ending) = &document.ending {
        rows.push(("终止", format!("{}，{}，原因 {}", moment(&ending.at), party(&ending.by), escaped(&ending.code))));
    }
    if let Some(submission) = &document.submission {
        rows.push(("提交交易", format!("{}，区块 {}", code(&submission.transaction), submission.height)));
    }
    for entry in &document.parties {
        rows.push(("当事方", format!("{}：{}", escaped(&entry.role), party(&entry.party))));
    }
    for signature in &document.signatures {
        rows.push((
            "签署",
            format!("{}，{}，账户 {}", party(&signature.party), moment(&signature.at), code(&signature.account)),
        ));
    }
    for reference in &document.references {
        let here = if reference.is_here { "已包含" } else { "未包含" };
        let (name, id) = (escaped(&reference.name), code(&reference.id));
        rows.push(("引用", format!("{name}：{id} 第 {} 版（{here}）", reference.version)));
    }
    for file in &document.attachments {
        let (name, media) = (escaped(&file.name), escaped(&file.media));
        rows.push(("附件", format!("{name}（{media}），共 {} 字节，随附并核验 {} 字节", file.bytes, file.shown)));
    }
    table(out, &rows);
    let _ = writeln!(out, "<p>已披露字段（另有 {} 个字段未披露）：</p>", document.hidden);
    let fields: Vec<(String, String)> = document.fields.iter().map(field).collect();
    let fields: Vec<(&str, String)> = fields.iter().map(|(title, value)| (title.as_str(), value.clone())).collect();
    table(out, &fields);
}

fn field(field: &FieldFinding) -> (String, String) {
    let value = match &field.value {
        Value::Null => "（无此项）".to_owned(),
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    };
    (format!("{}（{}）", escaped(&field.titles[1]), escaped(&field.name)), value)
}

fn access_log(out: &mut String, audit: &AuditFindings) {
    let (node, member) = (escaped(&audit.node), escaped(&audit.member));
    let _ = writeln!(out, "<h2>访问日志（{member}，节点 {node}）</h2>");
    let _ = writeln!(
        out,
        "<p>以下记录连续，末条已于区块 {}（{}）锚定。时间以该节点时钟为准。</p>",
        audit.anchored.height,
        moment(&audit.anchored)
    );
    out.push_str("<table>\n<tr><td>序号</td><td>时间</td><td>账户</td><td>方式</td><td>凭证</td><td>用途</td><td>结果</td></tr>\n");
    for line in &audit.records {
        let cells = [
            line.number.to_string(),
            time_text(line.time),
            code(&line.actor),
            escaped(&line.access),
            format!("{} 第 {} 版", code(&line.document), line.version),
            escaped(&line.purpose),
            escaped(&line.result),
        ];
        let _ = writeln!(out, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
    }
    out.push_str("</table>\n");
}

/// Titles are escaped where they come from a schema; the others are ours.
fn table(out: &mut String, rows: &[(&str, String)]) {
    out.push_str("<table>\n");
    for (title, value) in rows {
        let _ = writeln!(out, "<tr><th>{title}</th><td>{value}</td></tr>");
    }
    out.push_str("</table>\n");
}

fn code(value: &impl core::fmt::Display) -> String {
    format!("<code>{}</code>", escaped(&value.to_string()))
}

fn party(party: &Party) -> String {
    match (&party.member, &party.subject) {
        (Some(member), _) => escaped(member),
        (None, Some(subject)) => format!("个人 {}", code(subject)),
        (None, None) => String::new(),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What would turn the order of other characters around, or is not to be seen.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' => {
                let _ = write!(out, "[U+{:04X}]", u32::from(c));
            }
            _ => out.push(c),
        }
    }
    out
}

const fn category_text(category: Category) -> &'static str {
    match category {
        Category::Identity => "身份",
        Category::Contract => "合同",
        Category::Transaction => "交易",
        Category::Invoice => "发票",
        Category::Risk => "风控",
    }
}

const fn state_text(state: VersionState) -> &'static str {
    match state {
        VersionState::Pending => "待签署",
        VersionState::Effective => "有效",
        VersionState::Rejected => "已拒签",
        VersionState::Superseded => "已被新版取代",
        VersionState::Revoked => "已撤销",
        VersionState::Annulled => "已裁决作废",
        VersionState::Erased => "已删除",
    }
}

const fn erasure_text(state: ErasureState) -> &'static str {
    match state {
        ErasureState::None => "未请求删除",
        ErasureState::Restricted => "限制处理",
        ErasureState::Ordered => "已指令删除",
        ErasureState::Erased => "已删除",
    }
}

fn moment(moment: &Moment) -> String {
    time_text(moment.time_ms)
}

/// A time as people in China read it.
pub(super) fn time_text(time: TimestampMs) -> String {
    const BEIJING_MS: u64 = 8 * 3_600_000;
    let local = time.0.saturating_add(BEIJING_MS);
    let (days, second) = (local / 86_400_000, local / 1_000 % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} +08:00", second % 60)
}

/// Day of the Gregorian calendar from days since 1970: eras of 400 years that begin in March.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01 08:00:00 +08:00"),
            (951_782_400_000, "2000-02-29 08:00:00 +08:00"),
            (1_709_222_399_000, "2024-02-29 23:59:59 +08:00"),
            (1_735_660_800_000, "2025-01-01 00:00:00 +08:00"),
            (4_107_513_599_000, "2100-02-28 23:59:59 +08:00"),
            (4_107_513_600_000, "2100-03-01 00:00:00 +08:00"),
        ] {
            assert_eq!(time_text(TimestampMs(ms)), text);
        }
        assert!(!time_text(TimestampMs(u64::MAX)).is_empty());
    }

    #[test]
    fn nothing_in_a_value_becomes_markup() {
        assert_eq!(escaped("<b>&\"'\u{202e}x"), "&lt;b&gt;&amp;&quot;&#39;[U+202E]x");
    }
}
