//! No byte of a private value is at a node that is not entitled to it: not on its disk, in its log, in its answers, nor on the
//! wire to it, in no encoding and not as an unsalted hash.

mod api;

use std::time::Duration;

use serde_json::{Map, Value, json};
use vouch_sdk::{DocumentDraft, DraftFile, FileRequest, NewGrant};
use vouch_tests::{
    cluster::{Options, until},
    private::{Finder, House, Manner, Planted, Records, StandIn},
};
use vouch_types::{
    Hash32, SubjectId,
    document::{DocumentId, ErasureState, FieldSet, Party, PartyEntry},
    relation::RelationKind,
};

use api::{Known, dump};

const PATIENCE: Duration = Duration::from_secs(60);

/// Members in the order of the plan. The institution issues, the enterprise received the service; the others are outside.
const PLATFORM: usize = 0;
const INSTITUTION: usize = 1;
const ENTERPRISE: usize = 2;
const REGULATOR: usize = 3;
const OUTSIDE: [usize; 2] = [PLATFORM, REGULATOR];
/// Slots of the schema.
const SLOTS: u16 = 9;
/// In this slot stands what everyone may see.
const OPEN: &str = "remark";

/// Fields by slot; the number of the identity document and the card are not for the enterprise by rule.
fn schema() -> Value {
    let field = |name: &str, kind: &str, grade: u8, readers: u8| {
        json!({ "name": name, "title_en": name, "title_zh": "字段", "kind": kind, "grade": grade, "public": name == OPEN,
            "required": false, "readers": readers, "about": null })
    };
    let purpose = |code: &str, readers: u8, grade: u8| json!({ "code": code, "title_en": code, "title_zh": "用途", "readers": readers, "grade": grade });
    json!({
        "name": "engagement", "title_en": "Engagement", "title_zh": "用工", "category": "Identity",
        "fields": [
            field("name", "Text", 3, 7), field("id_number", "Text", 4, 3), field("bank_account", "Text", 4, 3),
            field("mobile", "Text", 3, 7), field("address", "Text", 3, 7), field("facts", "Text", 3, 7),
            field("shifts", "Rows", 2, 7), field(OPEN, "Text", 1, 7), field("scan", "Attachment", 4, 3),
        ],
        "parties": [{ "role": "worker", "title_en": "Worker", "title_zh": "从业人员", "subject": true, "members": 0,
            "min": 1, "max": 1, "owner": true, "recipient": false, "signs": false }],
        "references": [],
        "purposes": [purpose("service", 6, 4), purpose("verification", 2, 4)],
        "retention_days": 0,
    })
}

/// A story's documents and what was planted in them.
struct Story {
    house: House,
    person: SubjectId,
    records: Records,
    planted: Planted,
    /// The same text in every open field: it has to be found everywhere.
    control: Planted,
    control_text: String,
    documents: Vec<(DocumentId, u32)>,
    /// What the entitled were shown.
    shown: Vec<u8>,
}

impl Story {
    async fn open() -> Self {
        let options = Options { plain_http: true, accounts: 4, idle_interval_ms: 1_000, ..Options::default() };
        let house = House::open(options).await.unwrap();
        house.register_schema(&schema()).await.unwrap();
        house.decide("documents", "set_arbiters", &json!({ "members": ["regulator"] })).await.unwrap();
        let mut records = Records::new(rand::random());
        let person = SubjectId(records.bytes());
        house.register_persons(INSTITUTION, &[person]).await.unwrap();
        house.relate(RelationKind::Receives, ENTERPRISE, Party::subject(person), INSTITUTION).await.unwrap();
        let mut control = Planted::default();
        let control_text = format!("夜班 {}", records.chinese(12));
        control.add(OPEN, &control_text);
        let (planted, documents, shown) = (Planted::default(), Vec::new(), Vec::new());
        Self { house, person, records, planted, control, control_text, documents, shown }
    }

    /// A record whose every private text is planted.
    fn record(&mut self) -> Map<String, Value> {
        let mut values = self.records.record(&schema());
        values.insert("facts".into(), json!(format!("{}; {}", self.records.chinese(200), self.records.word(40))));
        for (name, value) in &values {
            if name != OPEN {
                self.planted.add_value(name, value);
            }
        }
        // A part of a long text is a leak as well.
        let facts: String = values["facts"].as_str().unwrap().chars().skip(80).take(24).collect();
        self.planted.add("part of facts", &facts);
        values.insert(OPEN.into(), json!(self.control_text));
        values
    }

    /// A file of several pieces of ciphertext, whose name and content are planted.
    fn file(&mut self) -> DraftFile {
        let (name, text) = (format!("{}.txt", self.records.chinese(8)), self.records.chinese(40));
        self.planted.add("name of a file", &name);
        self.planted.add("text of a file", &text);
        let path = self.house.cluster.scratch(&format!("scan-{}.txt", self.planted.len()));
        std::fs::write(&path, format!("{text}\n").repeat(700)).unwrap();
        DraftFile::from_path("scan", &path, "text/plain").unwrap().named(name)
    }

    fn draft(&mut self) -> DocumentDraft {
        DocumentDraft {
            schema: "engagement".into(),
            values: self.record(),
            parties: vec![PartyEntry { role: "worker".into(), party: Party::subject(self.person) }],
            public: vec![OPEN.into()],
            files: vec![self.file()],
            ..DocumentDraft::default()
        }
    }

    async fn submit(&mut self) -> DocumentId {
        let draft = self.draft();
        let id = self.house.desk(INSTITUTION).submit(&draft).await.unwrap().id;
        self.documents.push((id, 1));
        self.house.all_hold_at(&[INSTITUTION, ENTERPRISE], &[(id, 1)]).await.unwrap();
        id
    }

    /// An entitled member reads; what it is shown is kept.
    async fn read(&mut self, node: usize, id: DocumentId, version: u32, purpose: &str) -> Map<String, Value> {
        let read = self.house.desk(node).read(id, version, None, purpose).await.unwrap().unwrap();
        self.shown.extend(json!(read).to_string().bytes());
        read
    }

    /// Submission, reading, a new version.
    async fn submit_and_revise(&mut self) -> DocumentId {
        let id = self.submit().await;
        assert!(self.read(INSTITUTION, id, 1, "verification").await.contains_key("id_number"));
        let received = self.read(ENTERPRISE, id, 1, "service").await;
        assert!(!received.contains_key("id_number") && !received.contains_key("scan"));
        self.read_file(id, 1).await;
        let next = self.draft();
        let desk = self.house.desk(INSTITUTION);
        desk.client.revise_document(id, &next, &desk.key).await.unwrap();
        self.documents.push((id, 2));
        self.house.all_hold_at(&[INSTITUTION, ENTERPRISE], &[(id, 2)]).await.unwrap();
        self.read(INSTITUTION, id, 2, "verification").await;
        self.read(ENTERPRISE, id, 2, "service").await;
        self.read_file(id, 2).await;
        id
    }

    /// The institution reads the file.
    async fn read_file(&mut self, id: DocumentId, version: u32) {
        let request =
            FileRequest { document: id, version, field: "scan".into(), index: 0, purpose: "verification".into() };
        self.house.desk(INSTITUTION).client.read_document_file(&request, &mut self.shown).await.unwrap();
    }

    /// The identity number is opened to the enterprise and closed again; a key of somebody outside is named as well.
    async fn grant_and_end(&mut self, id: DocumentId) {
        let (mut numbers, slot) = (Vec::new(), FieldSet::from_iter([1]));
        for (member, key) in [(Some("enterprise".to_owned()), None), (None, Some(Hash32([9; 32])))] {
            let grant = NewGrant { member, key, fields: slot.clone(), purpose: "credit".into(), until_ms: None };
            let desk = self.house.desk(INSTITUTION);
            numbers.push(desk.number(|builder| builder.grant_document(id, 2, &grant)).await.unwrap());
        }
        let desk = self.house.desk(ENTERPRISE).clone();
        let read =
            until("what was granted is there", PATIENCE, async || Ok(desk.read(id, 2, None, "credit").await?.ok()));
        self.shown.extend(json!(read.await.unwrap()).to_string().bytes());
        for number in numbers {
            self.house.desk(INSTITUTION).send(|builder| builder.end_grant(number)).await.unwrap();
        }
        assert_eq!(desk.read(id, 2, None, "credit").await.unwrap().unwrap_err(), "vault.not_allowed");
    }

    /// A dispute before the regulator, who is given nothing; claim and answer are texts that stay with who wrote them.
    async fn dispute(&mut self, id: DocumentId) {
        let texts = [self.records.chinese(60), self.records.chinese(60)];
        let mut paths = Vec::new();
        for (name, text) in ["claim", "answer"].iter().zip(&texts) {
            self.planted.add(*name, text);
            self.shown.extend(text.bytes());
            let path = self.house.cluster.scratch(&format!("{name}-{id}.txt"));
            std::fs::write(&path, text).unwrap();
            paths.push(path.display().to_string());
        }
        let (id_text, cluster) = (id.to_string(), &self.house.cluster);
        let keys = [INSTITUTION, ENTERPRISE].map(|member| cluster.account_path(member));
        let open = ["--json", "doc", "dispute", "open", &id_text, "--arbiter", "regulator", "--code", "unpaid"];
        let open = [&open[..], &["--text", &paths[0], "--key", &keys[1]]].concat();
        let opened = cluster.vouch(ENTERPRISE, &open).await.unwrap().success().unwrap().json().unwrap();
        let number = opened["output_value"].to_string();
        let answer = ["--json", "doc", "dispute", "answer", &number, "--text", &paths[1], "--key", &keys[0]];
        cluster.vouch(INSTITUTION, &answer).await.unwrap().success().unwrap();
        let number: u64 = number.trim_matches('"').parse().unwrap();
        self.house.desk(ENTERPRISE).send(|builder| builder.withdraw_dispute(number)).await.unwrap();
    }

    /// A document is erased; all its holders attest it.
    async fn erase(&mut self) {
        let id = self.submit().await;
        self.read(INSTITUTION, id, 1, "verification").await;
        self.read_file(id, 1).await;
        let desk = self.house.desk(INSTITUTION);
        desk.send(|builder| builder.request_erasure(id, "consent_withdrawn")).await.unwrap();
        until("all holders attest", PATIENCE, async || {
            let document = desk.client.document(id).await?;
            Ok(document.filter(|document| document.erasure == ErasureState::Erased).map(drop))
        })
        .await
        .unwrap();
    }

    /// The enterprise loses its document keys, finds that out and gets everything back.
    async fn repair(&mut self, id: DocumentId) {
        self.house.cluster.stop(ENTERPRISE).await.unwrap();
        std::fs::remove_file(self.house.cluster.home(ENTERPRISE).join("vault/shelf")).unwrap();
        self.house.cluster.start_node(ENTERPRISE).unwrap();
        self.house.cluster.ready(&[ENTERPRISE]).await.unwrap();
        let desk = self.house.desk(ENTERPRISE).clone();
        assert!(!desk.client.check_vault().await.unwrap().damages.is_empty());
        until("the enterprise reads again", PATIENCE, async || {
            Ok(desk.read(id, 2, None, "service").await.is_ok_and(|read| read.is_ok()).then_some(()))
        })
        .await
        .unwrap();
        self.read(ENTERPRISE, id, 2, "service").await;
    }

    async fn everything(&mut self) {
        let id = self.submit_and_revise().await;
        self.grant_and_end(id).await;
        self.dispute(id).await;
        self.erase().await;
        self.repair(id).await;
    }

    /// The same while a process of the test is in an outside member's place, which hears what is sent to it and asks for more.
    async fn overheard(&mut self, node: usize) -> Vec<(&'static str, Vec<u8>)> {
        self.house.cluster.stop(node).await.unwrap();
        let stand_in = StandIn::start(&self.house.cluster, node, INSTITUTION, Manner::Listens).await.unwrap();
        let id = self.submit_and_revise().await;
        self.grant_and_end(id).await;
        self.dispute(id).await;
        stand_in.ask_for(&self.documents, SLOTS);
        self.erase().await;
        let wanted = self.documents.len() as u64 * 3;
        until("it is refused what it asks for", PATIENCE, async || {
            Ok(stand_in.with(|heard| heard.refusals.values().sum::<u64>() >= wanted).then_some(()))
        })
        .await
        .unwrap();
        let heard = stand_in.with(|heard| {
            let known =
                ["vault.not_entitled", "vault.erased", "vault.not_held", "vault.unknown_document", "vault.busy"];
            assert!(heard.refusals.keys().all(|code| known.contains(code)), "{:?}", heard.refusals);
            assert!(heard.refusals.contains_key("vault.not_entitled"), "{:?}", heard.refusals);
            heard.messages.clone()
        });
        stand_in.stop().await;
        self.house.cluster.start_node(node).unwrap();
        self.house.cluster.ready(&self.house.cluster.all()).await.unwrap();
        heard
    }
}

fn is_clean(finder: &Finder, what: &str) {
    assert!(finder.traces.found.is_empty(), "private values {what}: {:#?}", finder.traces.found);
    println!("{what}: {} pieces, {} bytes", finder.traces.pieces, finder.traces.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_private_is_at_nodes_that_are_not_entitled() {
    let mut story = Story::open().await;
    story.everything().await;
    let mut heard = Vec::new();
    for node in OUTSIDE {
        heard.push((node, story.overheard(node).await));
    }
    let planted = story.planted.clone();
    assert!(planted.len() > 80, "only {} values were planted", planted.len());
    let (finder, control) = (Finder::new(&planted).unwrap(), Finder::new(&story.control).unwrap());
    let (finder, control) = (|| finder.anew(), || control.anew());

    // The detector finds what is to be found: all of it in what the entitled are shown.
    let mut shown = finder();
    shown.look("what the entitled were shown", &story.shown);
    let missing: Vec<&str> = planted.texts().filter(|text| !shown.traces.values.contains(*text)).collect();
    assert!(missing.is_empty(), "not found where it is to be found: {missing:?}");

    let (subject, open) = (story.person.to_string(), &story.control_text[..3]);
    let known = Known { documents: &story.documents, subject, open, file_slot: SLOTS - 1 };
    for node in OUTSIDE {
        let (mut values, mut open) = (finder(), control());
        let answers = dump(&story.house, node, &known, &mut [&mut values, &mut open]).await;
        assert!(answers.get("200").is_some_and(|count| *count > 300), "too few answers: {answers:?}");
        is_clean(&values, &format!("in the answers of {}", story.house.cluster.name(node)));
        assert!(!open.traces.found.is_empty(), "the open value is in no answer");
    }
    let mut entitled = finder();
    dump(&story.house, INSTITUTION, &known, &mut [&mut entitled]).await;
    assert!(entitled.traces.values.len() > 20, "the entitled's answers hold {} values", entitled.traces.values.len());

    for (node, messages) in &heard {
        let (mut values, mut open) = (finder(), control());
        for (channel, bytes) in messages {
            values.look(channel, bytes);
            open.look(channel, bytes);
        }
        is_clean(&values, &format!("on the wire to {}", story.house.cluster.name(*node)));
        assert!(messages.iter().any(|(channel, _)| *channel == "vault") && messages.len() > 50, "{}", messages.len());
        assert!(!open.traces.found.is_empty(), "the open value is not on the wire");
    }

    for node in story.house.cluster.all() {
        story.house.cluster.stop(node).await.unwrap();
    }
    // At rest nothing stands in plain at the entitled either.
    for node in story.house.cluster.all() {
        let (mut values, mut open) = (finder(), control());
        let (home, name) = (story.house.cluster.home(node), story.house.cluster.name(node));
        for finder in [&mut values, &mut open] {
            finder.look_folder(name, &home).unwrap();
            finder.look_store(name, &home.join("data")).unwrap();
        }
        is_clean(&values, &format!("on the disk of {name}"));
        assert!(values.traces.pieces > 1_000 && values.traces.bytes > 1 << 20, "{:?}", values.traces);
        assert!(!open.traces.found.is_empty(), "the open value is not on the disk of {name}");
    }
}
