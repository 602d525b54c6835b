"""What `lint` does, once its checkers are installed."""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INFRA = HERE.parent

# Where a resource keeps a policy, and what kind of policy it is to parliament: those of principals, and those of a
# resource, of which it knows buckets' alone.
POLICIES = {
    "aws_iam_policy": ("policy", None),
    "aws_iam_role_policy": ("policy", None),
    "aws_iam_group_policy": ("policy", None),
    "aws_iam_role": ("assume_role_policy", "TRUST"),
    "aws_s3_bucket_policy": ("policy", "RESOURCE"),
    "aws_sns_topic_policy": ("policy", "RESOURCE"),
    "aws_sqs_queue_policy": ("policy", "RESOURCE"),
    "aws_kms_key_policy": ("policy", "RESOURCE"),
    "aws_secretsmanager_secret_policy": ("policy", "RESOURCE"),
    "aws_ecr_repository_policy": ("policy", "RESOURCE"),
}


def main():
    parser = argparse.ArgumentParser(prog="infra/controls/lint", description="Run checkov and parliament over modules.")
    parser.add_argument("--findings", type=pathlib.Path, metavar="FILE", help="write what was found as JSON, and succeed")
    parser.add_argument("--plan", type=pathlib.Path, metavar="PLAN.json", help="a plan of the one module, rendered already")
    parser.add_argument("modules", nargs="*", type=pathlib.Path, metavar="MODULE")
    arguments = parser.parse_args()
    modules = arguments.modules or sorted(path for path in (INFRA / "modules").iterdir() if list(path.glob("*.tf")))
    if arguments.plan and len(modules) != 1:
        parser.error("--plan is of one module")
    found = actions_with_resource()
    for module in modules:
        found += checkov(module)
        found += parliament(module, arguments.plan)
    if arguments.findings:
        arguments.findings.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    for finding in found:
        print(f"{finding['module']}: {finding['checker']} {finding['check']} at {finding['place']}: {finding['what']}", file=sys.stderr)
    if not found:
        print(f"checkov and parliament find nothing in {', '.join(module.name for module in modules)}")
    return 1 if found else 0


def actions_with_resource():
    """Entries of actions-without-resource.json whose action does know a resource, to AWS's own reference."""
    from parliament import iam_definition

    needed = {
        f"{service['prefix']}:{privilege['privilege']}".lower(): [kind["resource_type"] for kind in privilege["resource_types"]]
        for service in iam_definition for privilege in service["privileges"]
    }
    return [
        {
            "checker": "reference", "module": "controls", "check": "actions-without-resource", "place": action,
            "what": f"knows {', '.join(filter(None, needed[action.lower()]))}" if action.lower() in needed else "is no action",
        }
        for action in json.loads((HERE / "actions-without-resource.json").read_text())
        if any(needed.get(action.lower(), ["?"]))
    ]


def checkov(module):
    """What checkov finds in the HCL. It asks nobody on the network, and a module's tests are not infrastructure."""
    done = subprocess.run(
        [
            sys.executable, "-c", "import sys; from checkov.main import Checkov; sys.exit(Checkov().run())",
            "--directory", str(module), "--framework", "terraform", "--output", "json", "--quiet", "--compact",
            "--skip-download", "--soft-fail", "--skip-path", "tests", "--config-file", str(HERE / "checkov.yaml"),
        ],
        env=dict(os.environ, LOG_LEVEL="ERROR"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"checkov gave no report of {module}:\n{done.stdout}\n{done.stderr}")
    # A folder without resources that it knows gets a summary, and no list of checks.
    reports = report if isinstance(report, list) else [report]
    return [
        {
            "checker": "checkov", "module": module.name, "check": check["check_id"],
            "place": check["resource"], "what": check["check_name"],
        }
        for each in reports for check in each.get("results", {}).get("failed_checks", [])
    ]


def parliament(module, plan):
    """What parliament finds in the policies of the rendered plan."""
    from parliament import analyze_policy_string, enhance_finding

    skipped = suppressions(module)
    found = []
    for address, kind, document in policies(module, plan):
        if kind is not None:
            # It wants a Resource even where a policy may have none, and looks no further without.
            for statement in document["Statement"]:
                if not {"Resource", "NotResource"} & statement.keys():
                    statement["Resource"] = "*"
        for finding in analyze_policy_string(json.dumps(document)).findings:
            finding = enhance_finding(finding)
            is_beside_the_point = kind is not None and finding.issue in OF_PRINCIPALS_ONLY
            if finding.severity == "MUTE" or is_beside_the_point or is_skipped(finding, skipped.get(address.split("[")[0], {})):
                continue
            found.append({
                "checker": "parliament", "module": module.name, "check": finding.issue, "place": address,
                "what": f"{finding.title}: {json.dumps(finding.detail, default=str)}",
            })
    return found


# What says something about the policy of a principal, and nothing about one whose resource is what it is attached to.
OF_PRINCIPALS_ONLY = {
    "CREDENTIALS_EXPOSURE", "PERMISSIONS_MANAGEMENT_ACTIONS", "PRIVILEGE_ESCALATION", "RESOURCE_EFFECTIVELY_STAR",
    "RESOURCE_MISMATCH", "RESOURCE_POLICY_PRIVILEGE_ESCALATION", "RESOURCE_STAR",
}


def is_skipped(finding, skipped):
    """Whether comments suppress all that a finding is about; what they leave of it stays in it."""
    if finding.issue not in skipped:
        return False
    actions = skipped[finding.issue]
    if None in actions:
        return True
    if isinstance(finding.detail, str):  # "Unknown condition KEY for action ACTION"
        return finding.detail.split()[-1] in actions
    finding.detail = [entry for entry in finding.detail if entry["action"] not in actions]
    return not finding.detail


def suppressions(module):
    """What comments inside each resource suppress, as checkov has it: `#parliament:skip=CHECK:reason`, or
    `#parliament:skip=CHECK(ACTION):reason` for one action, so that the check still sees the others."""
    skipped = {}
    for file in sorted(module.glob("*.tf")):
        address = None
        for number, line in enumerate(file.read_text().splitlines(), 1):
            if opened := re.match(r'resource "(\w+)" "(\w+)" \{', line):
                address = ".".join(opened.groups())
            elif line.startswith("}"):
                address = None
            elif comment := re.match(r"\s*#\s*parliament:skip=(\w+)(?:\(([\w:, -]+)\))?:?(.*)", line):
                check, actions, reason = comment.groups()
                if address is None or len(reason.split()) < 4:
                    sys.exit(f"{file.name}:{number}: a suppression stands inside a resource and gives a reason that explains it")
                named = [action.strip() for action in actions.split(",")] if actions else [None]
                skipped.setdefault(address, {}).setdefault(check, set()).update(named)
    return skipped


def policies(module, plan):
    with tempfile.TemporaryDirectory() as folder:
        if plan is None:
            plan = pathlib.Path(folder) / "plan.json"
            rendered = subprocess.run([sys.executable, str(HERE / "render"), str(module), str(plan)])
            if rendered.returncode != 0:
                sys.exit(rendered.returncode)  # It has said why; 3 is a provider that cannot be had.
        document = json.loads(plan.read_text())
    for resource in document["resource_changes"]:
        attribute, kind = POLICIES.get(resource["type"], (None, None))
        text = attribute and resource["change"]["after"].get(attribute)
        if resource["type"] == "aws_iam_policy" and resource["name"].endswith("boundary"):
            kind = "BOUNDARY"  # wide on purpose; the rules see to it that nothing attaches it
        if text:
            document = json.loads(text)
            if isinstance(document["Statement"], dict):
                document["Statement"] = [document["Statement"]]
            yield resource["address"], kind, document


if __name__ == "__main__":
    sys.exit(main())
