"""Prints an in-toto statement of how a release's zips were built: provenance.py ARTEFACTS REVISION RUSTC-VERSION

It has no time, host or run in it, so that a second build of the same commit prints the same. Whoever signs adds those.
"""

import hashlib
import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(artefacts, revision, rustc):
    server, name = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_REPOSITORY")
    # Outside GitHub nobody vouches for where the commit came from: its hash names it all the same.
    source = f"git+{server}/{name}" if server and name else "git+file:lockstep"
    builder = f"{server}/{name}/.github/workflows/release.yml" if server and name else "urn:lockstep:workstation"
    crates = re.findall(r"[a-z-]+@\d+\.\d+\.\d+", (ROOT / ".ci/tools").read_text())
    lambda_tools = re.findall(r"^([a-z-]+)==(\S+)", (ROOT / "local/python/requirements/build.txt").read_text(), re.M)
    inputs = ("Cargo.lock", ".ci/build", ".ci/tools", "local/python/requirements/build.txt")
    tools = {
        "rustc": next(line for line in rustc.splitlines() if line.startswith("rustc ")).removeprefix("rustc "),
        "rustc commit": next(line for line in rustc.splitlines() if line.startswith("commit-hash: ")).removeprefix("commit-hash: "),
        **dict(each.split("@") for each in crates),
        **dict(lambda_tools),
    }
    print(json.dumps({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": path.name, "digest": {"sha256": sha256(path)}} for path in sorted(pathlib.Path(artefacts).glob("*.zip"))
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                # The script that builds, at the commit that is built.
                "buildType": f"{source}#.ci/build",
                "externalParameters": {
                    "source": source,
                    "revision": revision,
                    "architecture": os.environ.get("LOCKSTEP_ARCHITECTURE", "x86_64"),
                },
                "internalParameters": {"tools": tools},
                "resolvedDependencies": [
                    {"uri": f"{source}@{revision}", "digest": {"gitCommit": revision}},
                    *({"name": path, "digest": {"sha256": sha256(ROOT / path)}} for path in inputs),
                ],
            },
            "runDetails": {"builder": {"id": builder}},
        },
    }, indent=2, sort_keys=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
