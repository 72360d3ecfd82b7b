"""Checks tests/vectors/sd_jwt.json with the reference verifier of the OpenWallet Foundation, and its digests by hand."""

import base64
import hashlib
import json
import sys

from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier


class Verifier(SDJWTVerifier):
    """The package takes ES256 for key bindings unless told otherwise, which its constructor does not let one."""

    def _verify_key_binding_jwt(self, expected_aud=None, expected_nonce=None, sign_alg=None):
        super()._verify_key_binding_jwt(expected_aud, expected_nonce, sign_alg or "EdDSA")


ADDED = {"iss", "iat", "exp", "vct", "glc", "cnf"}


def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verified(vectors, vector):
    key = JWK(**vectors["issuer"])
    bound = (vectors["audience"], vectors["nonce"]) if vector["bound"] else (None, None)
    return Verifier(vector["text"], lambda issuer, header: key, *bound).get_verified_payload()


def main(file, privacy):
    with open(file, encoding="utf-8") as opened:
        vectors = json.load(opened)
    with open(privacy, encoding="utf-8") as opened:
        document = json.load(opened)["documents"][0]
    for vector in vectors["accepted"]:
        payload = verified(vectors, vector)
        shown = {name: value for name, value in payload.items() if name not in ADDED}
        if shown != vector["fields"] or payload["glc"]["root"] != vectors["root"]:
            sys.exit(f"sd_jwt.json: {vector['about']}: shows {sorted(shown)}")
        if document["root"] != vectors["root"]:
            sys.exit("sd_jwt.json is of another document than privacy.json")
        # What the SD-JWT lists are digests that lead to the chain's root.
        signed = json.loads(unpadded(vector["text"].split("~")[0].split(".")[1]))
        listed = {unpadded(digest).hex() for digest in signed["_sd"]}
        if not listed <= set(document["digests"]):
            sys.exit("sd_jwt.json: a digest is not one of the commitment's")
        for disclosure in vector["text"].split("~")[1:-1]:
            if hashlib.sha256(disclosure.encode()).hexdigest() not in listed:
                sys.exit("sd_jwt.json: a disclosure is not listed")
    for vector in vectors["refused"]:
        try:
            payload = verified(vectors, vector)
        except Exception:  # The package has no exception of its own for it.
            continue
        # RFC 9901 refuses a disclosure that was not signed; the package leaves it out.
        if "unshown" in vector and vector["unshown"] not in payload:
            continue
        sys.exit(f"sd_jwt.json: the foreign verifier takes {vector['about']}")
    print(f"sd_jwt.json: {len(vectors['accepted'])} accepted, {len(vectors['refused'])} refused")


main(*sys.argv[1:])
