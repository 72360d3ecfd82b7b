//! A file of a document on its way into the browser, from a node that may stop in the middle, begin anew, or lie.

use std::collections::BTreeMap;

use bao_tree::{
    BlockSize, ChunkNum, ChunkRanges,
    io::{outboard::PreOrderMemOutboard, sync::encode_ranges_validated},
};
use reader::{Fault, file};
use serde_json::{Value, json};
use vouch_privacy::{
    Commitment, Document, DocumentHeader, DocumentKeys, RecipientKey, SchemaFields, SeededRng, WrapContext,
    attachment::{Sealer, blob_root},
    wrap,
};
use vouch_types::{
    ChainId, Hash32,
    codec::encode,
    document::{DocumentId, Schema},
};

const CHAIN: ChainId = ChainId([5; 32]);
const ID: DocumentId = DocumentId::new([7; 16]);
/// Bytes of a piece: two of the file's segments and a little.
const PIECE: u64 = 9 * (16 << 10);

/// One version with one file, as a node has it.
struct Node {
    content: Vec<u8>,
    sealed: Vec<u8>,
    expected: Value,
    opening: Value,
    keys: DocumentKeys,
}

fn schema() -> Schema {
    let field = json!({ "name": "receipt", "title_en": "Receipt", "title_zh": "凭据", "kind": "Attachment", "grade": 3, "public": false,
        "required": true, "readers": 31, "about": null });
    let definition = json!({ "name": "slip", "title_en": "Slip", "title_zh": "单", "category": "Transaction", "fields": [field],
        "parties": [], "references": [], "purposes": [], "retention_days": 0 });
    let moment = json!({ "height": 1, "time_ms": 1 });
    serde_json::from_value(json!({ "version": 1, "definition": definition, "registered": moment, "retired": null }))
        .unwrap()
}

impl Node {
    fn new(bytes: usize) -> Self {
        let rng = &mut SeededRng::from_seed(&[3; 32]);
        let keys = DocumentKeys::generate(rng);
        let content: Vec<u8> = (0..bytes).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let mut sealed = Vec::new();
        let mut sealer = Sealer::new(&keys, 0, 0, rng, &mut sealed).unwrap();
        sealer.update(&content, &mut sealed).unwrap();
        let made = sealer.finish("receipt.bin", "application/octet-stream", &mut sealed).unwrap();
        let fields = SchemaFields::from_chain(&schema()).unwrap();
        let header = DocumentHeader::new(&fields, "works", ID, 1, None);
        let values = BTreeMap::from([("receipt".to_owned(), json!([made.value]))]);
        let commitment =
            Commitment::build(&Document { header: header.clone(), values }, &fields, &keys.secret).unwrap();
        let disclosure = &commitment.disclosures()[0];
        let files = [made.blob.leaf()];
        let expected = json!({ "document": ID, "version": 1, "issuer": "works", "root": commitment.root(),
            "blob_root": blob_root(&files), "schema": schema() });
        let field = json!({ "slot": 0, "disclosure": disclosure.as_str() });
        let opening = json!({ "opening": "07".repeat(16), "document": ID, "version": 1, "header": header.to_json(),
            "leaves": [Hash32(disclosure.leaf(0))], "field": field, "files": files, "bytes": made.blob.bytes, "root": made.blob.root,
            "key": "", "piece_bytes": PIECE, "until": 1, "reason": "ok" });
        Self { content, sealed, expected, opening, keys }
    }

    /// A reader that has `from` bytes opens the file. Answers where it goes on.
    fn open(&self, from: u64) -> Result<u64, Fault> {
        let asked: Value = serde_json::from_slice(&file::begin(&[u8::try_from(from % 7).unwrap(); 32])?).unwrap();
        let recipient = RecipientKey(asked["recipient"].as_str().unwrap().parse().unwrap());
        let context = WrapContext { chain: CHAIN, document: ID, version: 1 };
        let rng = &mut SeededRng::from_seed(&[4; 32]);
        let wrapped = wrap(&self.keys.all(), &recipient, context, rng).unwrap();
        let mut opening = self.opening.clone();
        opening["key"] = encode(&wrapped).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        let input = json!({ "chain": CHAIN, "expected": self.expected, "slot": 0, "index": 0, "from": from, "opening": opening });
        let answer: Value = serde_json::from_slice(&file::opened(input.to_string().as_bytes())?).unwrap();
        assert_eq!((answer["name"].as_str(), answer["piece_bytes"].as_u64()), (Some("receipt.bin"), Some(PIECE)));
        Ok(answer["next"].as_u64().unwrap())
    }

    fn bytes(&self) -> u64 {
        u64::try_from(self.sealed.len()).unwrap()
    }

    /// The range with its proof, and its end before it, as the page hands it on.
    fn cut(&self, from: u64) -> (u64, Vec<u8>) {
        let to = (from + PIECE).min(self.bytes());
        let tree = PreOrderMemOutboard::create(&self.sealed, BlockSize::from_chunk_log(4));
        let ranges = ChunkRanges::from(ChunkNum::full_chunks(from)..ChunkNum::chunks(to));
        let mut piece = to.to_le_bytes().to_vec();
        encode_ranges_validated(&self.sealed[..], &tree, &ranges, &mut piece).unwrap();
        (to, piece)
    }

    /// Takes pieces until `until` bytes of the ciphertext are there.
    fn take(&self, mut from: u64, until: u64, out: &mut Vec<u8>) -> u64 {
        while from < until {
            let (to, piece) = self.cut(from);
            out.extend(file::piece(&piece).unwrap());
            from = to;
        }
        from
    }
}

/// One file is open at a time, so all of it is one test.
#[test]
fn a_file_is_whole_or_it_is_not_given_out() {
    let node = Node::new(700_000);
    let whole = node.bytes();
    let read = |from: u64| {
        let mut out = Vec::new();
        assert_eq!(node.open(from).unwrap(), 0);
        node.take(0, whole, &mut out);
        file::end(&[]).map(|_| out)
    };
    assert!(read(0).unwrap() == node.content);

    // The opening ends in the middle: with a new one the page goes on where it is.
    let mut out = Vec::new();
    assert_eq!(node.open(0).unwrap(), 0);
    let at = node.take(0, 2 * PIECE, &mut out);
    assert_eq!(node.open(at).unwrap(), at);
    node.take(at, whole, &mut out);
    assert!(file::end(&[]).is_ok() && out == node.content);

    // The page broke off and begins anew, without the bytes it had: so does the file.
    assert_eq!(node.open(0).unwrap(), 0);
    node.take(0, 2 * PIECE, &mut Vec::new());
    assert!(read(0).unwrap() == node.content, "a part of the file passes as all of it");

    // Whoever says that they have bytes of a file that is not open here begins with the first one.
    assert!(read(PIECE).unwrap() == node.content);

    // Not whole, another piece, a changed byte, no file.
    assert_eq!(node.open(0).unwrap(), 0);
    node.take(0, PIECE, &mut Vec::new());
    assert_eq!(file::end(&[]).unwrap_err().code, "document.not_as_committed");
    assert_eq!(file::end(&[]).unwrap_err().code, "client.bad_input");
    assert_eq!(file::piece(&node.cut(0).1).unwrap_err().code, "client.bad_input");
    assert_eq!(node.open(0).unwrap(), 0);
    assert_eq!(file::piece(&node.cut(PIECE).1).unwrap_err().code, "document.file_damaged");
    let mut changed = node.cut(0).1;
    let last = changed.len() - 1;
    changed[last] ^= 1;
    assert_eq!(file::piece(&changed).unwrap_err().code, "document.file_damaged");
    assert_eq!(file::piece(&[1, 2]).unwrap_err().code, "client.bad_input");

    // What the node says of the file is held against the chain; a key is for one opening.
    let mut other = Node::new(700_000);
    other.opening["root"] = json!(Hash32([1; 32]));
    assert_eq!(other.open(0).unwrap_err().code, "document.not_as_committed");
    assert_eq!(file::opened(b"{}").unwrap_err().code, "client.bad_input");

    // An empty file is one too.
    let empty = Node::new(0);
    assert_eq!(empty.open(0).unwrap(), 0);
    assert_eq!(empty.take(0, empty.bytes(), &mut Vec::new()), 48);
    assert!(file::end(&[]).is_ok());
}
