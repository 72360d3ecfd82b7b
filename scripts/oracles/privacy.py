"""Checks tests/vectors/privacy.json by an implementation of its own: nothing of the product's code is used.

Standard library for hashes, HMAC and HKDF; `blake3` and `cryptography` for BLAKE3, X25519 and ChaCha20-Poly1305. The
constructions are written from docs/evidence.md and the comments of sdk/privacy, with RFC 9162, 9180 and 9901 beside them.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys

import blake3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

GROUP = 16 << 10
SEGMENT = 64 << 10
CHUNK = 1024
checked = 0


def expect(holds, what):
    global checked
    checked += 1
    if not holds:
        sys.exit(f"privacy.json: {what}")


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def u16(n):
    return struct.pack(">H", n)


def u32(n):
    return struct.pack(">I", n)


def canonical(value):
    """RFC 8785 for texts, whole numbers, booleans and null; keys here are ASCII."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def salt(secret, *parts):
    return hmac.new(secret, b"".join(parts), "sha256").digest()[:16]


def hkdf_expand(prk, info, length):
    out, block, n = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([n]), "sha256").digest()
        out, n = out + block, n + 1
    return out[:length]


def hkdf_extract(salt_bytes, key):
    return hmac.new(salt_bytes, key, "sha256").digest()


def derive(key, info):
    return hkdf_expand(hkdf_extract(bytes(32), key), info, 32)


# --- trees of RFC 9162


def split(count):
    at = 1
    while at * 2 < count:
        at *= 2
    return at


def head(leaves):
    if not leaves:
        return sha()
    if len(leaves) == 1:
        return leaves[0]
    at = split(len(leaves))
    return sha(b"\x01", head(leaves[:at]), head(leaves[at:]))


def path(leaves, index):
    if len(leaves) == 1:
        return []
    at = split(len(leaves))
    if index < at:
        return path(leaves[:at], index) + [head(leaves[at:])]
    return path(leaves[at:], index - at) + [head(leaves[:at])]


def head_from(leaf, index, count, siblings):
    """Recursive, where the product's code is iterative."""
    if count == 1:
        return leaf if not siblings else None
    if not siblings:
        return None
    at, top = split(count), siblings[-1]
    if index < at:
        below = head_from(leaf, index, at, siblings[:-1])
        return below and sha(b"\x01", below, top)
    below = head_from(leaf, index - at, count - at, siblings[:-1])
    return below and sha(b"\x01", top, below)


def field_leaf(slot, disclosure):
    return sha(b"\x00", b"GLC1.leaf", u16(slot), hashlib.sha256(disclosure.encode()).digest())


def row_leaf(slot, row, disclosure):
    return sha(b"\x00", b"GLC1.row", u16(slot), u32(row), hashlib.sha256(disclosure.encode()).digest())


def rows_root(slot, leaves, top=None):
    return sha(b"\x02", b"GLC1.rows", u16(slot), u32(len(leaves)), head(leaves) if top is None else top)


def document_root(header, count, top):
    return sha(b"\x02", b"GLC1.doc", sha(header.encode()), u16(count), top)


def proof_root(proof):
    """The root that a proof leads to, or None when it is none."""
    header = json.loads(proof["header"])
    if proof["alg"] != "sha-256" or canonical(header).decode() != proof["header"] or header["n"] != proof["n"]:
        return None
    if not 0 <= proof["i"] < proof["n"]:
        return None
    siblings = [bytes.fromhex(text) for text in proof["path"]]
    top = head_from(field_leaf(proof["i"], proof["disclosure"]), proof["i"], proof["n"], siblings)
    return top and document_root(proof["header"], proof["n"], top)


def check_document(vector, secret):
    schema, values = vector["schema"], vector["values"]
    rows = {entry["slot"]: entry for entry in vector["rows"]}
    leaves = []
    for slot, field in enumerate(schema["fields"]):
        name, value = field["name"], values.get(field["name"])
        if slot in rows:
            value = check_rows(rows[slot], value, slot, secret)
        made = b64(canonical([b64(salt(secret, b"GLC1.salt", u16(slot))), name, value]))
        expect(made == vector["disclosures"][slot], f"disclosure of {name}")
        expect(hashlib.sha256(made.encode()).hexdigest() == vector["digests"][slot], f"digest of {name}")
        leaves.append(field_leaf(slot, made))
    expect([leaf.hex() for leaf in leaves] == vector["leaves"], "leaves")
    header = json.loads(vector["header"])
    expect(canonical(header).decode() == vector["header"], "form of the header")
    expect(sha(vector["header"].encode()).hex() == vector["header_hash"], "hash of the header")
    named = (header["schema"], header["schema_ver"], header["n"])
    expect(named == (schema["id"], schema["version"], len(leaves)), "header and schema")
    root = document_root(vector["header"], len(leaves), head(leaves))
    expect(root.hex() == vector["root"], "root")
    for proof in vector["proofs"]:
        expect(proof_root(proof) == root, f"proof of slot {proof['i']}")
        expect([h.hex() for h in path(leaves, proof["i"])] == proof["path"], f"path of slot {proof['i']}")


def check_rows(vector, values, slot, secret):
    leaves = []
    expect(values == vector["values"], "values of rows")
    for row, value in enumerate(values):
        made = b64(canonical([b64(salt(secret, b"GLC1.rowsalt", u16(slot), u32(row))), value]))
        expect(made == vector["disclosures"][row], f"row {row}")
        leaves.append(row_leaf(slot, row, made))
    value = {"n": len(leaves), "root": rows_root(slot, leaves).hex()}
    expect(value == vector["value"], "value of rows")
    for proof in vector["proofs"]:
        siblings = [bytes.fromhex(text) for text in proof["path"]]
        top = head_from(row_leaf(slot, proof["row"], proof["disclosure"]), proof["row"], len(leaves), siblings)
        expect(top == head(leaves), f"proof of row {proof['row']}")
    return value


# --- BLAKE3 with the chaining values of its groups, which libraries do not show: the function itself, from its paper

IV = [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19]
PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
START, END, PARENT, ROOT, KEYED = 1, 2, 4, 8, 16
MASK = 0xFFFFFFFF


def compress(chaining, words, counter, length, flags):
    v = list(chaining) + IV[:4] + [counter & MASK, counter >> 32, length, flags]

    def g(a, b, c, d, x, y):
        v[a] = (v[a] + v[b] + x) & MASK
        v[d] ^= v[a]
        v[d] = (v[d] >> 16 | v[d] << 16) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] ^= v[c]
        v[b] = (v[b] >> 12 | v[b] << 20) & MASK
        v[a] = (v[a] + v[b] + y) & MASK
        v[d] ^= v[a]
        v[d] = (v[d] >> 8 | v[d] << 24) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] ^= v[c]
        v[b] = (v[b] >> 7 | v[b] << 25) & MASK

    m = list(words)
    for turn in range(7):
        g(0, 4, 8, 12, m[0], m[1])
        g(1, 5, 9, 13, m[2], m[3])
        g(2, 6, 10, 14, m[4], m[5])
        g(3, 7, 11, 15, m[6], m[7])
        g(0, 5, 10, 15, m[8], m[9])
        g(1, 6, 11, 12, m[10], m[11])
        g(2, 7, 8, 13, m[12], m[13])
        g(3, 4, 9, 14, m[14], m[15])
        if turn < 6:
            m = [m[i] for i in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk_value(key, flags, data, counter, is_root):
    chaining = list(key)
    blocks = [data[i : i + 64] for i in range(0, len(data), 64)] or [b""]
    for n, block in enumerate(blocks):
        last = n == len(blocks) - 1
        mode = flags | (START if n == 0 else 0) | (END if last else 0) | (ROOT if last and is_root else 0)
        words = struct.unpack("<16I", block.ljust(64, b"\0"))
        chaining = compress(chaining, words, counter, len(block), mode)
    return chaining


def subtree(key, flags, data, first_chunk, is_root):
    if len(data) <= CHUNK:
        return chunk_value(key, flags, data, first_chunk, is_root)
    chunks = -(-len(data) // CHUNK)
    at = split(chunks)
    left = subtree(key, flags, data[: at * CHUNK], first_chunk, False)
    right = subtree(key, flags, data[at * CHUNK :], first_chunk + at, False)
    return compress(key, left + right, 0, 64, flags | PARENT | (ROOT if is_root else 0))


def groups(data, key=None):
    words, flags = (struct.unpack("<8I", key), KEYED) if key else (IV, 0)
    parts = [data[i : i + GROUP] for i in range(0, len(data), GROUP)] or [b""]
    out = []
    for n, part in enumerate(parts):
        value = subtree(list(words), flags, part, n * (GROUP // CHUNK), len(parts) == 1)
        out.append(struct.pack("<8I", *value))
    return out


def check_attachment(vector, secret, data_key):
    value, slot, index = vector["value"], vector["slot"], vector["index"]
    content = bytes((31 * i + i // 256) % 251 for i in range(value["size"]))
    key = derive(secret, b"GLC1.att" + u16(slot) + u16(index))
    expect(key.hex() == value["b3_key"], f"key of file {index}")
    expect(blake3.blake3(content, key=key).hexdigest() == value["b3"], f"hash of file {index}")
    expect([h.hex() for h in groups(content, key)] == vector["groups"], f"groups of file {index}")
    sealed = seal(content, data_key, slot, index, bytes.fromhex(vector["sealed_head"]))
    expect(len(sealed) == vector["sealed_bytes"], f"length of sealed file {index}")
    expect(blake3.blake3(sealed).hexdigest() == vector["sealed_root"], f"hash of sealed file {index}")
    expect([h.hex() for h in groups(sealed)] == vector["sealed_groups"], f"groups of sealed file {index}")
    place = u16(slot) + u16(index) + struct.pack(">Q", len(sealed))
    leaf = sha(b"\x00", b"GLC1.blob", place, bytes.fromhex(vector["sealed_root"]))
    expect(leaf.hex() == vector["leaf"], f"leaf of file {index}")
    return leaf


# --- sealing


def hchacha(key, nonce):
    state = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))

    def quarter(a, b, c, d):
        for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            state[x] = (state[x] + state[y]) & MASK
            state[z] ^= state[x]
            state[z] = (state[z] << by | state[z] >> (32 - by)) & MASK

    for _ in range(10):
        for column in range(4):
            quarter(column, 4 + column, 8 + column, 12 + column)
        for row in range(4):
            quarter(row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
    return struct.pack("<8I", *(state[:4] + state[12:]))


def xchacha(key, nonce):
    return ChaCha20Poly1305(hchacha(key, nonce[:16])), bytes(4) + nonce[16:]


def open_padded(key, sealed, aad):
    cipher, nonce = xchacha(key, sealed[:24])
    plain = cipher.decrypt(nonce, sealed[24:], aad).rstrip(b"\0")
    expect(plain.endswith(b"\x80"), "padding")
    return plain[:-1]


def seal(content, data_key, slot, index, first):
    key = derive(derive(data_key, b"GLC1.field" + u16(slot)), b"GLC1.blob" + u16(index))
    expect(first[:8] == b"GLC1.seg" and first[27:] == bytes(5), "head of a sealed file")
    parts = [content[i : i + SEGMENT] for i in range(0, len(content), SEGMENT)] or [b""]
    out = first
    for n, part in enumerate(parts):
        cipher, nonce = xchacha(key, first[8:27] + u32(n) + bytes([n == len(parts) - 1]))
        out += cipher.encrypt(nonce, part, None)
    return out


def check_sealed(vector, document, data_key):
    header_hash = sha(vector["header"].encode())
    rows = {entry["slot"]: entry["disclosures"] for entry in document["rows"]}
    for slot, sealed in enumerate(vector["slots"]):
        key, aad = derive(data_key, b"GLC1.field" + u16(slot)), header_hash + u16(slot)
        plain = open_padded(key, bytes.fromhex(sealed["value"]), aad).decode()
        expect(plain == document["disclosures"][slot], f"sealed slot {slot}")
        expect(field_leaf(slot, plain).hex() == sealed["leaf"], f"leaf of sealed slot {slot}")
        if slot in rows:
            plain = open_padded(derive(key, b"GLC1.rows"), bytes.fromhex(sealed["rows"]), aad)
            layout = struct.pack("<Q", len(rows[slot]))
            layout += b"".join(struct.pack("<Q", len(text)) + text.encode() for text in rows[slot])
            expect(plain == layout, f"sealed rows of slot {slot}")
        else:
            expect(sealed["rows"] == "", f"no rows at slot {slot}")


def hpke_open(secret, encapsulated, info, aad, sealed):
    """RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305."""
    kem = b"KEM" + u16(0x20)
    suite = b"HPKE" + u16(0x20) + u16(0x01) + u16(0x03)

    def extract(scope, salt_bytes, label, key):
        return hkdf_extract(salt_bytes or bytes(32), b"HPKE-v1" + scope + label + key)

    def expand(scope, prk, label, context, length):
        return hkdf_expand(prk, u16(length) + b"HPKE-v1" + scope + label + context, length)

    private = X25519PrivateKey.from_private_bytes(secret)
    public = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    prk = extract(kem, b"", b"eae_prk", shared)
    shared = expand(kem, prk, b"shared_secret", encapsulated + public, 32)
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"") + extract(suite, b"", b"info_hash", info)
    schedule = extract(suite, shared, b"secret", b"")
    key, nonce = expand(suite, schedule, b"key", context, 32), expand(suite, schedule, b"base_nonce", context, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)


def check_wrap(vector, context, data_key):
    secret, made = bytes.fromhex(vector["recipient_secret"]), vector["wrap"]
    public = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    kid = sha(b"GLC1.kid", b"\x01", public)
    expect(public.hex() == vector["recipient_key"] and kid.hex() == made["recipient"], "name of a receiver")
    fields = vector["fields"]
    if fields is None:
        info, bits, keys = b"GLC1 dek-wrap", b"", data_key
    else:
        info, bits = b"GLC1 field-wrap", bytes.fromhex(vector["fields_bytes"])
        keys = b"".join(derive(data_key, b"GLC1.field" + u16(slot)) for slot in fields)
    encapsulated, sealed = bytes.fromhex(made["encapsulated"]), bytes.fromhex(made["ciphertext"])
    expect(hpke_open(secret, encapsulated, info, context + kid + bits, sealed) == keys, "wrapped keys")


def check_subject(vector, context, secret, data_key):
    key, aad = bytes.fromhex(vector["key"]), None
    for form in ("kept", "kept_fields"):
        sealed = bytes.fromhex(vector[form])
        cipher, nonce = xchacha(key, sealed[:24])
        aad = b"GLC1.subject" + context
        plain = cipher.decrypt(nonce, sealed[24:], aad)
        if form == "kept":
            expect(plain == b"\x01" + data_key + secret, "keys under a subject's key")
        else:
            keys = b"".join(derive(data_key, b"GLC1.field" + u16(slot)) for slot in vector["fields"])
            expect(plain[0] == 3 and plain.endswith(keys), "fields' keys under a subject's key")


def main(file):
    with open(file, encoding="utf-8") as opened:
        vectors = json.load(opened)
    secret, data_key = bytes.fromhex(vectors["secret"]), bytes.fromhex(vectors["data_key"])
    bound = vectors["context"]
    context = bytes.fromhex(bound["chain"]) + bytes.fromhex(bound["document"]) + u32(bound["version"])
    for vector in vectors["salts"]:
        parts = [b"GLC1.salt", u16(vector["slot"])]
        if "row" in vector:
            parts = [b"GLC1.rowsalt", u16(vector["slot"]), u32(vector["row"])]
        expect(salt(secret, *parts).hex() == vector["salt"], f"salt {vector}")
    for vector in vectors["documents"]:
        check_document(vector, secret)
    for vector in vectors["refused"]:
        reached = proof_root(vector["proof"])
        expect(reached is None or reached.hex() != vector["root"], f"refused: {vector['about']}")
    leaves = [check_attachment(vector, secret, data_key) for vector in vectors["attachments"]]
    blobs = vectors["blobs"]
    expect([leaf.hex() for leaf in leaves] == blobs["leaves"], "leaves of files")
    root = sha(b"\x02", b"GLC1.blobs", u32(len(leaves)), head(leaves))
    expect(root.hex() == blobs["root"], "root over files")
    check_sealed(vectors["sealed"], vectors["documents"][0], data_key)
    for vector in vectors["wraps"]:
        check_wrap(vector, context, data_key)
    check_subject(vectors["subject"], context, secret, data_key)
    print(f"privacy.json: {checked} statements hold")


main(sys.argv[1])
