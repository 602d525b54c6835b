"""What this repository demands of a workflow besides what zizmor and the schema do. Each rule is one function."""

import re
import subprocess
import sys

from ruamel.yaml import YAML

PINNED = re.compile(r"^(?:[\w.-]+/[\w./-]+@[0-9a-f]{40}|\$/\.github/[\w./-]+)$")
VERSIONED = re.compile(r"uses:\s*(?P<uses>[\w.-]+/[^@\s]+@[0-9a-f]{40}) # v\d+(\.\d+)*\s*$")
STRICT = "bash --noprofile --norc -euo pipefail {0}"
IMAGE = re.compile(r"[\w.-]+(?:/[\w.-]+)+:[\w.-]*\d[\w.-]*(?!\S*@sha256:[0-9a-f]{64})(?=[@\s]|$)")


def jobs(document):
    return (document.get("jobs") or {}).items()


def steps(document):
    for _, job in jobs(document):
        yield from job.get("steps") or []
    yield from (document.get("runs") or {}).get("steps") or []


def pin(document, text):
    """A tag can be moved to other code by whoever takes over the action's repository."""
    uses = [step["uses"] for step in steps(document) if "uses" in step]
    uses += [job["uses"] for _, job in jobs(document) if "uses" in job]
    for name in uses:
        if not PINNED.match(name):
            yield f"{name} is not pinned by a whole commit"
    versioned = {match["uses"] for match in map(VERSIONED.search, text.splitlines()) if match}
    for name in uses:
        if PINNED.match(name) and not name.startswith("$/") and name not in versioned:
            yield f"{name} does not say its version beside it, `# v1.2.3`"


def image(document, text):
    for name, value in (document.get("env") or {}).items():
        if isinstance(value, str) and IMAGE.search(value):
            yield f"{name} names an image without its digest"
    for name, job in jobs(document):
        for key in ("container", "services"):
            if key in job:
                yield f"{name} has a {key}: run the image by its digest in a step"


def trigger(document, text):
    """Both run with the repository's own rights on what a stranger proposed."""
    for event in document.get("on") or {}:
        if event in ("pull_request_target", "workflow_run"):
            yield f"{event} gives a stranger's code our rights"


def permissions(document, text):
    if "jobs" not in document:
        return
    if document.get("permissions") != {}:
        yield "the workflow's own permissions are not `{}`"
    for name, job in jobs(document):
        if not isinstance(job.get("permissions"), dict):
            yield f"{name} does not list its permissions"


def oidc(document, text):
    """The role trusts `repo:<owner>/<name>:environment:<environment>`, and no branch, tag or pull request."""
    for name, job in jobs(document):
        if (job.get("permissions") or {}).get("id-token") != "write":
            continue
        if "environment" not in job and not str(job.get("uses", "")).startswith("$/.github/workflows/"):
            yield f"{name} may ask for a token and has no environment"


def secret(document, text):
    """`vars` and OIDC are enough. What is not kept here cannot be taken from here."""
    if re.search(r"\$\{\{[^}]*\bsecrets\b|secrets:\s*inherit", text):
        yield "it reads a secret"


def injection(document, text):
    for step in steps(document):
        if "${{" in str(step.get("run", "")):
            yield f"the script of `{step.get('name')}` has an expression in it: pass it by env"


def credentials(document, text):
    for step in steps(document):
        if str(step.get("uses", "")).startswith("actions/checkout@"):
            if (step.get("with") or {}).get("persist-credentials") is not False:
                yield "a checkout leaves its token behind: set persist-credentials to false"


def bounds(document, text):
    if "jobs" not in document:
        return
    reusable = set(document.get("on") or {}) == {"workflow_call"}
    if "concurrency" not in document and not reusable:
        yield "no concurrency group"
    for name, job in jobs(document):
        if "uses" not in job and "timeout-minutes" not in job:
            yield f"{name} has no timeout-minutes"


def shell(document, text):
    if "jobs" in document:
        if ((document.get("defaults") or {}).get("run") or {}).get("shell") != STRICT:
            yield f"defaults.run.shell is not `{STRICT}`"
    for step in steps(document):
        if "run" not in step:
            continue
        if step.get("shell", STRICT) != STRICT:
            yield f"`{step.get('name')}` has a shell of its own"
        script = re.sub(r"\$\{\{.*?\}\}", "x", str(step["run"]), flags=re.S)
        parsed = subprocess.run(["bash", "-n"], input=script.encode(), stderr=subprocess.PIPE)
        if parsed.returncode != 0:
            yield f"`{step.get('name')}` is no bash: {parsed.stderr.decode().strip()}"


def label(document, text):
    """What cannot run here says so."""
    if "# Never run: " not in text:
        yield "it does not say that it was never run"


RULES = (pin, image, trigger, permissions, oidc, secret, injection, credentials, bounds, shell, label)


def main(paths):
    found, pins = [], {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        document = YAML(typ="safe", pure=True).load(text)
        for rule in RULES:
            found += [f"{path}: {rule.__name__}: {fault}" for fault in rule(document, text)]
        for step in steps(document):
            name, _, commit = str(step.get("uses", "")).partition("@")
            if commit and pins.setdefault(name, commit) != commit:
                found.append(f"{path}: pin: {name} is pinned to another commit elsewhere")
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
