#!/usr/bin/env python3
"""Writes tokens of a foreign issuer: keys.json and tokens.json beside this file.

    python3 -m venv venv && venv/bin/pip install 'pyjwt[crypto]==2.10.1' && venv/bin/python make.py

The private keys are made for it and forgotten. A test reads what the server must accept and refuse.
"""

import base64
import json
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

HERE = Path(__file__).parent
LATER = 4070908800  # 2099
CLAIMS = {
    "iss": "https://issuer.example/", "aud": ["other", "agents"], "sub": "alice", "exp": LATER, "iat": 1767225600,
    "nbf": 1767225600, "scope": "openid sessions:read sessions:write", "realm": {"tenant": "acme"},
}

keys = {
    "rsa": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
    "ec": ("ES256", ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}
# Keys that the server must not use: too small, of another curve, of another algorithm.
others = {
    "small": ("RS256", rsa.generate_private_key(public_exponent=65537, key_size=1024), RSAAlgorithm),
    "curve": ("ES384", ec.generate_private_key(ec.SECP384R1()), ECAlgorithm),
    "pss": ("PS256", rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
}


def jwk(name, entry):
    algorithm, key, kind = entry
    value = json.loads(kind.to_jwk(key.public_key()))
    value.pop("key_ops", None)
    return {**value, "kid": name, "use": "sig"} | ({"alg": algorithm} if name != "ec" else {})


def token(name, claims=None, header=None, entry=None):
    algorithm, key, _ = entry or (keys | others)[name]
    return jwt.encode({**CLAIMS, **(claims or {})}, key, algorithm, headers={"kid": name, "typ": "at+jwt", **(header or {})})


def without(claim):
    return jwt.encode({k: v for k, v in CLAIMS.items() if k != claim}, keys["ed"][1], "EdDSA", headers={"kid": "ed"})


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


public = keys["rsa"][1].public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
confused = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
head = part({"alg": "HS256", "kid": "rsa"}) + "." + part(CLAIMS)
signature = base64.urlsafe_b64encode(confused.sign(head.encode(), public)).rstrip(b"=").decode()
good = token("ec")

tokens = {
    "accepted": {name: token(name) for name in keys}
    | {
        "typ JWT": token("ed", header={"typ": "JWT"}),
        "typ with application/": token("ed", header={"typ": "application/AT+JWT"}),
        "no typ": jwt.encode(CLAIMS, keys["ed"][1], "EdDSA", headers={"kid": "ed", "typ": None}),
        "aud is one text": token("rsa", {"aud": "agents"}),
        "exp has a fraction": token("rsa", {"exp": LATER + 0.5}),
    },
    "refused": {
        "aud": token("rsa", {"aud": "other"}), "aud is absent": without("aud"), "aud is empty": token("rsa", {"aud": []}),
        "iss": token("rsa", {"iss": "https://issuer.example"}), "iss is absent": without("iss"),
        "exp is over": token("rsa", {"exp": 1767225600}), "exp is absent": without("exp"),
        "exp is a text": token("rsa", {"exp": str(LATER)}),
        "nbf": token("rsa", {"nbf": LATER - 60}), "sub is absent": without("sub"), "sub is everyone": token("ec", {"sub": "*"}),
        "sub is empty": token("ec", {"sub": ""}), "tenant is absent": without("realm"),
        "tenant is a path": token("ec", {"realm": {"tenant": "a/b"}}),
        "typ": token("rsa", header={"typ": "logout+jwt"}), "crit": token("rsa", header={"crit": ["exp"]}),
        "kid is absent": jwt.encode(CLAIMS, keys["rsa"][1], "RS256"), "kid is unknown": token("rsa", header={"kid": "none"}),
        "another key of this kind": token("rsa", header={"kid": "rsa"}, entry=("RS256", others["pss"][1], None)),
        "alg is another key's": token("ec", header={"kid": "rsa"}), "small": token("small"), "curve": token("curve"), "pss": token("pss"),
        "alg none": part({"alg": "none", "kid": "rsa"}) + "." + part(CLAIMS) + ".",
        "alg none in capitals": part({"alg": "NoNe", "kid": "rsa"}) + "." + part(CLAIMS) + ".",
        "HS256 with the public key": head + "." + signature,
        "no signature": good.rsplit(".", 1)[0] + ".", "two parts": good.rsplit(".", 1)[0], "four parts": good + ".x",
        "another payload": ".".join([good.split(".")[0], part({**CLAIMS, "sub": "bob"}), good.split(".")[2]]),
        "padding": good + "=", "a line break": good.replace(".", ".\n", 1),
    },
}

sets = [jwk(name, entry) for name, entry in (keys | others).items()]
sets += [
    {**jwk("rsa", keys["rsa"]), "kid": "encrypts", "use": "enc"}, {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
    {**json.loads(OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate())), "kid": "private"},
]
(HERE / "keys.json").write_text(json.dumps({"keys": sets}, indent=1) + "\n")
(HERE / "tokens.json").write_text(json.dumps(tokens, indent=1) + "\n")
