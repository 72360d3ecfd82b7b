//! De-identification as a whole: policies over text, files and tables.

use std::collections::BTreeMap;

use vouch_privacy::{
    Engine, Grade,
    deid::{Algorithm, DeidKey, Deidentifier, Policy, Step, table::Table},
    rules::{Profile, ProfileName},
    stream::{
        Format,
        report::{Rewriter, Scanner},
        walk,
    },
};

fn entropy() -> impl FnMut(&mut [u8]) {
    let mut count = 0_u8;
    move |bytes| {
        for byte in bytes {
            count = count.wrapping_mul(167).wrapping_add(13);
            *byte = count;
        }
    }
}

fn apply(policy: &Policy, text: &str, field: Option<&str>) -> String {
    let (engine, key) = (Engine::builtin(), DeidKey::new([1; 32]));
    let mut entropy = entropy();
    let mut deidentifier = Deidentifier::new(engine, policy, Some(&key), &mut entropy).unwrap();
    let known = field.map(|name| (name, engine.field(name)));
    deidentifier.text(text, known.as_ref().map(|(name, field)| (*name, field)), None).unwrap().text
}

fn policy(text: &str) -> Policy {
    Policy::parse(text, Engine::builtin()).unwrap()
}

#[test]
fn the_standard_policy_leaves_nothing_sensitive() {
    let text = "骑手姓名：张三丰，身份证11010519491231002X，手机13812345678，卡号6222020300001234560，\
                住址：天津市滨海新区第三大街51号，登录密码：Abc12345，诊断：左侧桡骨骨折，邮箱zhang.san@example.com";
    let done = apply(&Policy::standard(), text, None);
    for kept in [
        "张**",
        "110***********002X",
        "138****5678",
        "622202*********4560",
        "天津市滨海新区",
        "z***@example.com",
        "登录密码：[S_PASSWORD]",
    ] {
        assert!(done.contains(kept), "{kept} is not in {done}");
    }
    for gone in ["三丰", "19491231", "1234", "第三大街", "Abc12345", "桡骨", "han.san"] {
        assert!(!done.contains(gone), "{gone} is in {done}");
    }
    assert_eq!(left(&done), ["L_ADDR_LABELLED"], "a district under its label is what the policy keeps");
}

/// Rules that still find something of grade 3 or 4.
fn left(text: &str) -> Vec<String> {
    let found = Engine::builtin().scan(text, None);
    found.iter().filter(|one| one.level >= Grade::SENSITIVE).map(|one| one.rule.to_string()).collect()
}

#[test]
fn every_valid_sample_of_a_sensitive_rule_is_taken_out() {
    let engine = Engine::builtin();
    let standard = Policy::standard();
    for rule in engine.rules().filter(|rule| rule.level >= Grade::SENSITIVE) {
        for sample in &rule.valid {
            let done = apply(&standard, sample, None);
            assert_ne!(&done, sample, "{}", rule.id);
            // Of places the policy keeps what is coarse.
            assert!(left(&done).iter().all(|rule| rule.starts_with("L_")), "{}: {sample} became {done}", rule.id);
        }
    }
}

#[test]
fn fields_rules_and_grades_are_asked_in_this_order() {
    let policy = policy(
        r#"{"format":"vouch-deid/1","fields":{"salary":{"algorithm":"round","step":"1000","rounding":"range"},"id":{"algorithm":"keyed_token"}},
        "rules":{"C_MOBILE_CN":{"algorithm":"format_preserving_encryption","form":"mobile"},"C_EMAIL":{"algorithm":"keep"}},
        "levels":{"2":{"algorithm":"suppress","label":"…"}}}"#,
    );
    assert_eq!(apply(&policy, "8567.5", Some("salary")), "8000-8999");
    assert_eq!(apply(&policy, "一万", Some("salary")), "[salary]", "what cannot be rounded does not stay");
    let token = apply(&policy, "11010519491231002X", Some("ID"));
    assert!(token.starts_with("tok_") && token == apply(&policy, "11010519491231002X", Some("id")));
    let mobile = apply(&policy, "手机13812345678", None);
    assert!(
        mobile.starts_with("手机138") && !mobile.contains("13812345678") && mobile.len() == "手机13812345678".len()
    );
    assert_eq!(
        apply(&policy, "a.b@example.com 车牌津A12345 身份证11010519491231002X", None),
        "a.b@example.com 车牌… 身份证[ID_CN_RESIDENT_18]"
    );
}

#[test]
fn policies_that_cannot_be_used_say_why() {
    let parse = |text: &str| Policy::parse(text, Engine::builtin()).unwrap_err();
    for text in [
        r#"{"format":"x"}"#,
        r#"{"format":"vouch-deid/1","rules":{"NONE":{"algorithm":"keep"}}}"#,
        r#"{"format":"vouch-deid/1","levels":{"7":{"algorithm":"keep"}}}"#,
        r#"{"format":"vouch-deid/1","fields":{"a":{"algorithm":"rot13"}}}"#,
        r#"{"format":"vouch-deid/1","fields":{"a":{"algorithm":"mask","first":1,"last":2,"middle":3}}}"#,
    ] {
        assert_eq!(parse(text).code(), "deid.policy", "{text}");
    }
    let needs_key = policy(r#"{"format":"vouch-deid/1","levels":{"3":{"algorithm":"keyed_token"}}}"#);
    let error = Deidentifier::new(Engine::builtin(), &needs_key, None, &mut entropy()).unwrap_err();
    assert_eq!(error.code(), "deid.key_missing");
}

#[test]
fn what_is_left_stops_everything() {
    // A label that is itself sensitive.
    let careless = policy(r#"{"format":"vouch-deid/1","levels":{"4":{"algorithm":"suppress","label":"13812345678"}}}"#);
    let mut entropy = entropy();
    let mut deidentifier = Deidentifier::new(Engine::builtin(), &careless, None, &mut entropy).unwrap();
    let error = deidentifier.text("身份证11010519491231002X", None, None).unwrap_err();
    assert_eq!(error.code(), "deid.residue");
    assert!(!error.to_string().contains("1381234"), "{error}");
}

#[test]
fn reversible_steps_come_back() {
    let (engine, key) = (Engine::builtin(), DeidKey::new([1; 32]));
    let policy = Policy::standard();
    let mut entropy = entropy();
    for (json, value) in [
        (r#"{"algorithm":"vault_token"}"#, "张三丰"),
        (r#"{"algorithm":"deterministic_encryption"}"#, "11010519491231002X"),
        (r#"{"algorithm":"format_preserving_encryption","form":"card"}"#, "6222020300001234560"),
        (r#"{"algorithm":"date_shift"}"#, "1990-03-07"),
    ] {
        let step: Step = serde_json::from_str(json).unwrap();
        assert!(step.algorithm().unwrap().properties().is_reversible, "{json}");
        let mut one = policy.clone();
        one.fields = BTreeMap::from([("x".to_owned(), step.clone())]);
        let mut deidentifier = Deidentifier::new(engine, &one, Some(&key), &mut entropy).unwrap();
        let field = engine.field("x");
        let done = deidentifier.text(value, Some(("x", &field)), Some("subject 7")).unwrap();
        assert_ne!(done.text, value);
        assert_eq!(deidentifier.restore(&step, &done.changes[0].cause, &done.text, Some("subject 7")).unwrap(), value);
    }
}

#[test]
fn a_table_gets_its_columns_and_then_its_groups() {
    let policy = policy(
        r#"{"format":"vouch-deid/1","subject":"worker","fields":{"worker":{"algorithm":"keyed_token"},"day":{"algorithm":"date_shift"}},
        "table":[{"algorithm":"k_anonymity","k":3,"quasi":["age"]},{"algorithm":"permutation","columns":["pay"]},
        {"algorithm":"sampling","rows":8}]}"#,
    );
    let columns = ["worker", "age", "day", "pay"].map(str::to_owned).to_vec();
    let row = |number: u32| {
        vec![
            format!("w{}", number % 4),
            (20 + number).to_string(),
            format!("2024-05-{:02}", number + 1),
            (number * 100).to_string(),
        ]
    };
    let mut table = Table::new(columns, (0..12).map(row).collect()).unwrap();
    let (engine, key) = (Engine::builtin(), DeidKey::new([1; 32]));
    let mut entropy = entropy();
    let (changes, reports) =
        Deidentifier::new(engine, &policy, Some(&key), &mut entropy).unwrap().table(&mut table).unwrap();
    assert_eq!(table.rows.len(), 8);
    assert!(reports.len() == 1 && reports[0].k >= 3, "{reports:?}");
    assert_eq!(changes.iter().filter(|change| change.algorithm == Algorithm::DateShift).count(), 12);
    assert!(table.rows.iter().all(|row| row[0].starts_with("tok_") && row[1].contains('~') && !row[2].is_empty()));
}

#[test]
fn a_file_is_reported_and_rewritten() {
    let csv =
        "姓名,idNo,phone,备注\n张三丰,11010519491231002X,13812345678,\"老客户，\n微信号：zhang_2024\"\n李四,,,无\n";
    let profile = Profile::builtin(ProfileName::Glc4);
    let scan = |text: &str| {
        let mut scanner = Scanner::new(Engine::builtin(), profile, Grade::GENERAL, 100);
        walk(Format::Csv, &mut text.as_bytes(), None, &mut scanner).unwrap();
        scanner.finish()
    };
    let report = scan(csv);
    let listed: Vec<(&str, &str, u64, u64)> = report
        .findings
        .iter()
        .map(|one| (one.rule.as_str(), one.field.as_deref().unwrap(), one.line, one.column))
        .collect();
    assert_eq!(
        listed,
        [
            ("P_NAME_LABELLED", "姓名", 2, 1),
            ("ID_CN_RESIDENT_18", "idNo", 2, 1),
            ("C_MOBILE_CN", "phone", 2, 1),
            ("C_WECHAT", "备注", 3, 1),
            ("P_NAME_LABELLED", "姓名", 4, 1)
        ]
    );
    assert_eq!(report.level, Grade::MOST_SENSITIVE);
    let written = serde_json::to_string(&report).unwrap();
    assert!(!written.contains("zhang_2024") && !written.contains("1381234"), "{written}");
    let policy = Policy::standard();
    let (mut entropy, mut output) = (entropy(), Vec::new());
    let mut deidentifier = Deidentifier::new(Engine::builtin(), &policy, None, &mut entropy).unwrap();
    let mut rewriter = Rewriter::new(Engine::builtin(), &mut deidentifier);
    walk(Format::Csv, &mut csv.as_bytes(), Some(&mut output), &mut rewriter).unwrap();
    assert_eq!(rewriter.done[&Algorithm::Mask], 4);
    let output = String::from_utf8(output).unwrap();
    assert_eq!(
        output,
        "姓名,idNo,phone,备注\n张**,110***********002X,138****5678,\"老客户，\n微信号：[C_WECHAT]\"\n李*,,,无\n"
    );
    assert!(scan(&output).level < Grade::SENSITIVE);
}
