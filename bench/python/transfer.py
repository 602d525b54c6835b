"""Fetches a model's files from the Hub, verifies them and stores them in S3: requests, hashlib and boto3.

What is measured against, so written to be fast: the body is read in parts without decoding, one thread reads while one
hashes and four upload, and at most PARTS_IN_FLIGHT parts are in memory. An upload is completed only after the digest of
the whole file matched. Told by a JSON file; answers with one line of JSON.
"""

import collections
import concurrent.futures
import hashlib
import json
import sys
import threading
import time

import boto3
import requests
from botocore.config import Config

PART = 8 << 20
PARTS_IN_FLIGHT = 4
# Up to this size a file is held whole, as with boto3's own multipart_threshold.
WHOLE = 8 << 20


def check(job_file, digest, size, name):
    if (digest, size) != (job_file[name], job_file["size"]):
        raise SystemExit(f"{job_file['url']}: {digest} with {size} bytes is not what was promised")


def large(s3, session, bucket, file):
    """Stores one file in parts."""
    response = session.get(file["url"], stream=True, timeout=60)
    response.raise_for_status()
    upload = s3.create_multipart_upload(Bucket=bucket, Key=file["key"], Metadata={"sha256": file["sha256"]})["UploadId"]
    where = {"Bucket": bucket, "Key": file["key"], "UploadId": upload}
    digest, size, parts, pending = hashlib.sha256(), 0, [], collections.deque()

    def send(number, chunk):
        answer = s3.upload_part(**where, PartNumber=number, Body=chunk)
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": answer.get("ChecksumCRC32")}

    def settle():
        hashed, sent = pending.popleft()
        hashed.result()
        parts.append({name: value for name, value in sent.result().items() if value})

    try:
        hasher = concurrent.futures.ThreadPoolExecutor(1)
        senders = concurrent.futures.ThreadPoolExecutor(PARTS_IN_FLIGHT)
        with hasher, senders:
            while chunk := response.raw.read(PART, decode_content=False):
                size += len(chunk)
                hashed = hasher.submit(digest.update, chunk)
                pending.append((hashed, senders.submit(send, len(parts) + len(pending) + 1, chunk)))
                del chunk
                if len(pending) >= PARTS_IN_FLIGHT:
                    settle()
            while pending:
                settle()
        check(file, digest.hexdigest(), size, "sha256")
        s3.complete_multipart_upload(**where, IfNoneMatch="*", MultipartUpload={"Parts": parts})
    except BaseException:
        s3.abort_multipart_upload(**where)
        raise


def small(s3, session, bucket, file):
    """Stores one file whole; the Hub promises git's digest for these."""
    response = session.get(file["url"], timeout=60)
    response.raise_for_status()
    body = response.content
    if "sha256" in file:
        check(file, hashlib.sha256(body).hexdigest(), len(body), "sha256")
    else:
        check(file, hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest(), len(body), "git_oid")
    sha256 = hashlib.sha256(body).hexdigest()
    s3.put_object(Bucket=bucket, Key=file["key"], Body=body, Metadata={"sha256": sha256}, IfNoneMatch="*")


def main():
    with open(sys.argv[1], encoding="utf-8") as opened:
        job = json.load(opened)
    options = {} if job["payload_signing"] is None else {"payload_signing_enabled": job["payload_signing"]}
    s3 = boto3.client(
        "s3",
        endpoint_url=job["s3"],
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
        config=Config(max_pool_connections=16, s3={"addressing_style": "path", **options}),
    )
    local = threading.local()

    def session():
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session

    def store(file):
        (small if file["size"] <= WHOLE else large)(s3, session(), job["bucket"], file)

    # Neither importing nor making the client counts.
    cpu_before, start = time.process_time(), time.perf_counter()
    if len(job["files"]) == 1:
        store(job["files"][0])
    else:
        with concurrent.futures.ThreadPoolExecutor(job["threads"]) as pool:
            list(pool.map(store, job["files"]))
    print(json.dumps({"seconds": time.perf_counter() - start, "cpu_before": cpu_before}))


main()
