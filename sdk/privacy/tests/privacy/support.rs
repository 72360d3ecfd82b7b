//! Documents with made-up values that the tests of this crate share.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vouch_privacy::{Document, DocumentHeader, DocumentSecret, FieldSpec, Grade, SchemaFields, SeededRng, WrapContext};
use vouch_types::{
    ChainId,
    document::{Category, DocumentId, FieldKind},
};

pub const CHAIN: ChainId = ChainId([5; 32]);
pub const DOCUMENT: DocumentId = DocumentId::new([0x7f; 16]);
pub const CONTEXT: WrapContext = WrapContext { chain: CHAIN, document: DOCUMENT, version: 1 };

pub fn field(name: &str, kind: FieldKind, grade: u8) -> FieldSpec {
    FieldSpec { name: name.into(), kind, grade: Grade::new(grade).unwrap(), public: false, required: false }
}

pub fn schema() -> SchemaFields {
    use FieldKind::{Attachment, Boolean, Code, Date, Decimal, Integer, Rows, Text, Time};
    let fields = vec![
        FieldSpec { public: true, required: true, ..field("scene", Text, 1) },
        FieldSpec { required: true, ..field("payeeName", Text, 2) },
        field("payeeId", Text, 4),
        field("amount", Decimal, 3),
        field("serviceDate", Date, 2),
        field("paidAt", Time, 2),
        field("orders", Integer, 2),
        field("settled", Boolean, 2),
        field("method", Code, 2),
        field("items", Rows, 3),
        field("files", Attachment, 3),
        field("extra", Integer, 2),
        field("remark", Text, 2),
    ];
    SchemaFields::new("settlement", 1, Category::Transaction, fields).unwrap()
}

pub fn values() -> BTreeMap<String, Value> {
    let object = json!({
        "scene": "即时配送",
        "payeeName": "测试甲",
        "payeeId": "TEST-ID-0001",
        "amount": "1234.56",
        "serviceDate": "2026-05-01",
        "paidAt": "2026-05-02T09:30:00+08:00",
        "orders": 17,
        "settled": true,
        "method": "bank-transfer",
        "items": [{ "item": "午高峰", "amount": "800.00" }, { "item": "晚高峰", "amount": "434.56" }],
        "extra": -5,
    });
    object.as_object().unwrap().clone().into_iter().collect()
}

pub fn header(schema: &SchemaFields) -> DocumentHeader {
    DocumentHeader::new(schema, "accu", DOCUMENT, 1, None)
}

pub fn document() -> Document {
    Document { header: header(&schema()), values: values() }
}

pub fn secret() -> DocumentSecret {
    DocumentSecret::from_bytes([9; 32])
}

pub fn rng(seed: u8) -> SeededRng {
    SeededRng::from_seed(&[seed; 32])
}
