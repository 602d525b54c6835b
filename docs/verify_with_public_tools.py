"""Checks a run's exported evidence without Lockstep, with the public libraries that public-tools.txt pins.

    python3 verify_with_public_tools.py DIR TRUST.json

Every file must be the one that the signed record lists, every envelope must be signed by the function that writes
there, and every payload must be an in-toto Statement. Prints a line for each file; exits 1 at the first that fails.

It does not do all that `lockstep verify` does: it knows nothing of the gates' order, nor of the facts on which they
must agree. And `model.sig` is checked as an envelope: the model's own files are for `model_signing`.
"""

import base64
import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_der_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import Error as LibraryError
from securesystemslib.signer import SSlibKey

RECORD = "record.json"
RECORD_TYPE = "lockstep/record/v1"
LINK_TYPE = "lockstep/link/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"

# Where a predicate says when it was signed.
WHEN = {RECORD_TYPE: "sealed_at", LINK_TYPE: "at"}

# Predicates that in-toto-attestation knows; another one is read as a statement only.
PREDICATES = {
    "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
    "https://in-toto.io/attestation/test-result/v0.1": test_result_pb2.TestResult,
}


class Refused(Exception):
    """Why the evidence does not hold."""


def read_trust(path):
    """The keys to trust, each with what its signature counts for."""
    trust = json.loads(path.read_bytes())
    if trust["schema"] != "lockstep/trust-root/v1":
        raise Refused(f"it is of schema {trust['schema']}")
    for entry in trust["keys"]:
        public = load_der_public_key(base64.b64decode(entry["public_key"], validate=True))
        entry["key"] = SSlibKey.from_crypto(public, keyid=entry["keyid"], scheme="ecdsa-sha2-nistp256")
    if len({entry["keyid"] for entry in trust["keys"]}) != len(trust["keys"]):
        raise Refused("it names a key twice")
    return trust["keys"]


def envelope_of(content):
    """The envelope in a file, and what names the key if that lies in a Sigstore bundle; None of a document."""
    if not isinstance(content, dict):
        return None, None
    if "dsseEnvelope" in content:
        if content["mediaType"] != BUNDLE_TYPE:
            raise Refused(f"it is a bundle of type {content['mediaType']}")
        return content["dsseEnvelope"], content["verificationMaterial"]["publicKey"]["hint"]
    if {"payload", "payloadType", "signatures"} <= content.keys():
        return content, None
    return None, None


def verify_envelope(function, content, hint, keys):
    """The statement in an envelope, once its signature verified with a key that the function may use for it."""
    signatures = content["signatures"]
    if len(signatures) != 1:
        raise Refused(f"it has {len(signatures)} signatures, not one")
    keyid = signatures[0]["keyid"]
    if hint is None:
        entries = [entry for entry in keys if entry["keyid"] == keyid]
    else:  # A bundle names its key by the digest of its PEM text.
        entries = [entry for entry in keys if sha256(entry["key"].keyval["public"].encode()) == hint]
    entries = [entry for entry in entries if entry["function"] == function]
    if not entries:
        raise Refused(f"it names a key that the trust root does not have for {function}")
    entry = entries[0]
    key = SSlibKey(keyid, entry["key"].keytype, entry["key"].scheme, entry["key"].keyval)
    envelope = Envelope.from_dict(json.loads(json.dumps(content)))  # It changes what it is given.
    if envelope.payload_type != PAYLOAD_TYPE:
        raise Refused(f"its payload type is {envelope.payload_type}")
    envelope.verify([key], threshold=1)

    message = json_format.Parse(envelope.payload, statement_pb2.Statement())
    Statement.copy_from_pb(message).validate()
    statement = json.loads(envelope.payload)
    kind = statement["predicateType"]
    if kind not in entry["predicate_types"]:
        raise Refused(f"the key of {function} may not sign {kind}")
    if kind in PREDICATES:
        json_format.ParseDict(statement["predicate"], PREDICATES[kind]())
    if kind in WHEN:  # Other statements are dated by the link that carries them.
        at = statement["predicate"][WHEN[kind]]
        if not counts_at(entry, time(at)):
            raise Refused(f"the key of {function} does not count at {at}")
    return statement


def verify_file(path, content, keys, record):
    """What a file turned out to be."""
    if path != RECORD:
        listed = record["files"].get(path)
        if listed is None:
            raise Refused("the record does not list it")
        if (sha256(content), len(content)) != listed:
            raise Refused("it is not the file that was sealed")
    envelope, hint = envelope_of(json.loads(content))
    if envelope is None:
        return "document, as sealed"
    function = path.split("/")[0] if "/" in path else "seal-run"
    statement = verify_envelope(function, envelope, hint, keys)
    predicate = statement["predicate"]
    if statement["predicateType"] == LINK_TYPE:
        if predicate["run_id"] != record["run_id"]:
            raise Refused(f"it is a link of run {predicate['run_id']}")
        for carried in predicate["carries"]:
            if record["files"].get(carried["path"], (None,))[0] != carried["sha256"]:
                raise Refused(f"it carries {carried['path']}, which is not the file that was sealed")
    return f"{statement['predicateType']}, signed by {function}"


def read_record(content, keys):
    """The signed record: the run and its files by path, each with digest and size."""
    statement = verify_envelope("seal-run", json.loads(content), None, keys)
    if statement["predicateType"] != RECORD_TYPE:
        raise Refused(f"it is a {statement['predicateType']}")
    predicate = statement["predicate"]
    prefix = f"runs/{predicate['run_id']}/"
    files = {}
    for file in predicate["files"]:
        path = file["key"].removeprefix(prefix)
        if path == file["key"] or path in files:
            raise Refused(f"it lists {file['key']}")
        files[path] = (file["sha256"], file["size"])
    return {"run_id": predicate["run_id"], "status": predicate["status"], "files": files}


def counts_at(entry, at):
    not_after = entry.get("not_after")
    return time(entry["not_before"]) <= at and (not_after is None or at < time(not_after))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def time(text):
    """RFC 3339 in UTC; whatever is smaller than a microsecond is left out."""
    date, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{date}.{fraction[:6]:0<6}+00:00")


def main(directory, trust):
    at = str(trust)
    try:
        keys = read_trust(trust)
        at = RECORD
        record = read_record((directory / RECORD).read_bytes(), keys)
        found = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
        there = sorted(path.relative_to(directory).as_posix() for path in found)
        for at in there:
            if (directory / at).is_symlink():
                raise Refused("it is a link to somewhere else")
            said = verify_file(at, (directory / at).read_bytes(), keys, record)
            print(f"ok      {at}: {said}")
        for at in sorted(record["files"].keys() - set(there)):
            raise Refused("the record lists it, and it is not there")
    except (Refused, LibraryError, json_format.Error, OSError, ValueError, LookupError, TypeError) as error:
        print(f"FAILED  {at}: {type(error).__name__}: {error}")
        return 1
    print(f"ok      run {record['run_id']}, {record['status']}: {len(there)} files")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
