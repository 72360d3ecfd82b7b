//! The engine with its built-in rules.

use proptest::prelude::*;
use vouch_privacy::{
    Engine,
    rules::{BUILTIN, RuleFile, SignedRules, TrustedSigner, checklist},
    scan::{Basis, Finding},
};
use vouch_types::SecretKey;

fn found(text: &str) -> Vec<(String, String)> {
    named(text, &Engine::builtin().scan(text, None))
}

fn in_field(field: &str, text: &str) -> Vec<(String, String)> {
    named(text, &Engine::builtin().scan(text, Some(field)))
}

fn named(text: &str, findings: &[Finding]) -> Vec<(String, String)> {
    findings.iter().map(|finding| (finding.rule.to_string(), text[finding.start..finding.end].to_owned())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(rule, value)| ((*rule).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn every_rule_judges_its_samples_as_it_says() {
    let engine = Engine::builtin();
    let failed: Vec<String> =
        engine.rules().filter_map(|rule| engine.check_samples(rule).err()).map(|error| error.to_string()).collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(engine.rules().count() >= 157);
}

#[test]
fn chinese_characters_are_no_boundary() {
    assert_eq!(found("手机13812345678转账"), pairs(&[("C_MOBILE_CN", "13812345678")]));
    assert_eq!(found("身份证110101199003070135号"), pairs(&[]), "the check character is wrong");
    assert_eq!(found("持11010519491231002X办理"), pairs(&[("ID_CN_RESIDENT_18", "11010519491231002X")]));
    assert_eq!(found("发至li_4@mail.example.cn处理"), pairs(&[("C_EMAIL", "li_4@mail.example.cn")]));
}

#[test]
fn the_field_says_what_a_value_is() {
    assert_eq!(in_field("xm", "张三丰"), pairs(&[("P_NAME_LABELLED", "张三丰")]));
    assert_eq!(in_field("姓名", "张三丰"), pairs(&[("P_NAME_LABELLED", "张三丰")]));
    assert_eq!(in_field("product", "张三丰"), pairs(&[]));
    assert_eq!(in_field("rider.id_no", "120101750307451"), pairs(&[("ID_CN_RESIDENT_15", "120101750307451")]));
    assert_eq!(in_field("身份证号码", "120101750307451"), pairs(&[("ID_CN_RESIDENT_15", "120101750307451")]));
    assert_eq!(in_field("salary", "8500.00"), pairs(&[("F_INCOME", "8500.00")]));
    assert_eq!(in_field("血型", "AB型"), pairs(&[("H_BLOOD_TYPE", "AB型")]));
}

#[test]
fn disguised_values_are_read() {
    for (text, value) in [
        ("手机：１３８１２３４５６７８。", "１３８１２３４５６７８"),
        ("打给138\u{200b}1234\u{200b}5678吧", "138\u{200b}1234\u{200b}5678"),
        ("联系电话幺三八一二三四五六七八", "幺三八一二三四五六七八"),
        ("电话 1 3 8 1 2 3 4 5 6 7 8 找我", "1 3 8 1 2 3 4 5 6 7 8"),
        (r#"{"m":"\u0031\u0033\u0038\u00312345678"}"#, r"\u0031\u0033\u0038\u00312345678"),
        ("/q?m=%31%33%38%312345678&x=1", "%31%33%38%312345678"),
    ] {
        let all = found(text);
        assert_eq!(all.len(), 1, "{text}: {all:?}");
        assert!(all[0].0.starts_with("C_MOBILE"), "{text}: {all:?}");
        assert_eq!(all[0].1, value, "{text}");
    }
}

#[test]
fn numbers_of_other_things_are_left_alone() {
    for text in [
        "sha256 a13812345678f0c4bb13912345678dd",
        "0.13812345678",
        "f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "2024-05-01 12:30:00.123456",
        "订单 6200990300001230",
        "v1.2.3, build 20240501",
        "人脸识别技术白皮书，未成年人保护法，民族团结",
        "fn password(value: &str) -> bool { secret(value) }",
        "母亲高兴地说，儿子时常回家",
    ] {
        let sensitive: Vec<_> =
            Engine::builtin().scan(text, None).into_iter().filter(|one| one.level.number() >= 3).collect();
        assert!(sensitive.is_empty(), "{text}: {sensitive:?}");
    }
}

#[test]
fn a_finding_holds_no_value() {
    let text = "身份证11010519491231002X，手机13812345678，密码：Abc12345";
    let findings = Engine::builtin().scan(text, None);
    assert_eq!(findings.len(), 3);
    let written = format!("{findings:?}{}", serde_json::to_string(&findings).unwrap());
    for value in ["1101051949", "1381234", "Abc1"] {
        assert!(!written.contains(value), "{written}");
    }
    assert_eq!(findings[0].basis, Basis::Check);
    assert_eq!(findings[0].score, 100);
}

#[test]
fn rules_of_ones_own_are_signed_and_their_samples_hold() {
    let rule = |valid: &str| {
        format!(
            r#"{{"format":"vouch-rules/1","rules":[{{"id":"X_STATION","name":{{"en":"Station","zh":"站点编号"}},"category":"own",
            "level":3,"mode":"shape","pattern":"ST-[A-Z]{{2}}\\d{{6}}","bound":"word","valid":["站点ST-AB123456","{valid}"],
            "invalid":["ST-AB12345","XST-AB123456"]}}]}}"#
        )
    };
    let key = SecretKey::from_seed([3; 32]);
    let open = |text: &str| {
        let signed = serde_json::to_string(&SignedRules::sign(text, &key).unwrap()).unwrap();
        SignedRules::open(&signed, &[TrustedSigner(key.public())]).unwrap()
    };
    let engine = Engine::with_rules(&[open(&rule("ST-ZZ000001"))]).unwrap();
    let findings = engine.scan("到达ST-AB123456，手机13812345678", None);
    assert_eq!(findings.iter().map(|one| one.rule.as_str()).collect::<Vec<_>>(), ["X_STATION", "C_MOBILE_CN"]);
    let error = Engine::with_rules(&[open(&rule("ST-1"))]).unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        ("rules.sample", "rule X_STATION: valid sample 2 is missed")
    );
    assert_eq!(Engine::with_rules(&[RuleFile::parse(BUILTIN).unwrap()]).unwrap_err().code(), "rules.invalid");
}

#[test]
fn patterns_that_cannot_be_used_say_why() {
    let load = |pattern: &str, bound: &str| {
        let text = format!(
            r#"{{"format":"vouch-rules/1","rules":[{{"id":"X","name":{{"en":"x","zh":"某"}},"category":"own","level":1,"mode":"shape",
            "pattern":"{pattern}","bound":"{bound}","valid":["a","b"],"invalid":["c","d"]}}]}}"#
        );
        Engine::with_rules(&[RuleFile::parse(&text).unwrap()]).unwrap_err()
    };
    for (pattern, bound, part) in [
        ("(", "none", "pattern"),
        (r"\\bx\\b", "none", "look-around"),
        ("[一-龥]{2}号", "none", "anchors"),
        ("x*", "word", "empty"),
        ("(?:(?:a{1,1000}){1,1000}){1,1000}", "word", "pattern"),
    ] {
        let error = load(pattern, bound);
        assert_eq!(error.code(), "rules.invalid", "{pattern}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn the_checklist_in_the_documentation_is_what_the_rules_give() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sensitive-information-checklist.md");
    let written = std::fs::read_to_string(path).unwrap();
    let rendered = checklist::render(Engine::builtin());
    assert!(
        written == rendered,
        "write it again: cargo run -p vouch-privacy --example checklist > docs/sensitive-information-checklist.md"
    );
    assert!(rendered.contains(" 0 failed.") && !rendered.contains("FAILED"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text_gives_places_in_order_that_do_not_overlap(parts in prop::collection::vec(part(), 0..16), field in "[a-zA-Z_]{0,8}|姓名|手机") {
        let text = parts.concat();
        let mut reach = 0;
        for finding in Engine::builtin().scan(&text, Some(&field)) {
            prop_assert!(finding.start >= reach && finding.value_start >= finding.start && finding.end > finding.value_start);
            prop_assert!(text.is_char_boundary(finding.start) && text.is_char_boundary(finding.value_start) && text.is_char_boundary(finding.end));
            prop_assert!(finding.score >= vouch_privacy::scan::SCORE_MIN);
            reach = finding.end;
        }
        prop_assert!(reach <= text.len());
    }
}

fn part() -> impl Strategy<Value = String> {
    let words = [
        "手机１３８",
        "１２３４５６７８",
        "138\u{200b}1234\u{200b}5678",
        "姓名：欧阳明月",
        "王师傅",
        "天津市滨海新区第三大街51号",
        "某某有限公司",
        "密码：Abc12345",
        "%E5%BC%A0%E4%B8%89",
        "\\u5f20\\ud83d\\ude00",
        "幺三八一二三四五六七八",
        "1 3 8 1 2 3 4 5 6 7 8",
        "叁仟零伍拾圆整",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        "联合村3组",
        "使014578",
    ];
    prop_oneof![
        prop::sample::select(words.to_vec()).prop_map(str::to_owned),
        "\\PC{0,12}",
        "[0-9 -]{0,20}",
        "[：，。\n ]"
    ]
}
