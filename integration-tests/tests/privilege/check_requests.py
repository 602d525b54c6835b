"""Holds recorded requests against the models that AWS publishes of its services, as botocore brings them.

    python check_requests.py REQUESTS

REQUESTS is what the local account appends to with LOCKSTEP_RECORD_REQUESTS: a JSON object a line. Printed is one JSON object:
`faults`, a text each, naming service, operation, member, value and rule; `unchecked`, what no judgement was possible of, and
why; `seen`, by role, the operations that were judged.

botocore itself checks types, required members and minima. Maxima, patterns and enumerations are read from the same models here.
An enumeration may be older than its service; that is what pinning a version is for.
"""

import base64
import binascii
import datetime
import email.utils
import gzip
import json
import re
import sys
import urllib.parse
import xml.etree.ElementTree
from dataclasses import dataclass

import botocore.session
import cbor2
import regex
from botocore.model import OperationModel, ServiceModel, Shape

# Services by botocore's name, and what IAM calls them.
SERVICES = {
    "application-autoscaling": "application-autoscaling",
    "cloudwatch": "cloudwatch",
    "dynamodb": "dynamodb",
    "ecr": "ecr",
    "events": "events",
    "inspector2": "inspector2",
    "kms": "kms",
    "lambda": "lambda",
    "logs": "logs",
    "s3": "s3",
    "sagemaker": "sagemaker",
    "sagemaker-metrics": "sagemaker",
    "sagemaker-runtime": "sagemaker",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "stepfunctions": "states",
    "sts": "sts",
}

# Headers of every request to AWS, which no operation declares.
COMMON_HEADERS = {
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-target",
    "x-amz-trailer",
    "x-amz-user-agent",
    "x-amzn-query-mode",
}

# A character beyond the first plane, as Java writes it: two halves. Python has no halves.
JAVA_HALVES = r"\uD800\uDC00-\uDBFF\uDFFF"


class Fault(Exception):
    """A rule that a request breaks: the member, its value and the rule."""

    def __init__(self, member: str, value: object, rule: str):
        shown = value if isinstance(value, str) else repr(value)
        shown = shown if len(shown) <= 120 else shown[:120] + "..."
        super().__init__(f"{member or 'the input'} = `{shown}`: {rule}")


class Unchecked(Exception):
    """A request, or a rule, of which nothing can be said."""


@dataclass
class Content:
    """Bytes that were not recorded."""

    size: int


class Judge:
    """The rules of a shape, and every way in which a value breaks them."""

    def __init__(self):
        self.faults: list[Fault] = []
        self.unchecked: list[str] = []

    def fault(self, member: str, value: object, rule: str):
        self.faults.append(Fault(member, value, rule))

    def judge(self, shape: Shape, value: object, at: str):
        if shape.metadata.get("document") or getattr(shape, "is_document_type", False):
            return
        getattr(self, f"_{shape.type_name}")(shape, value, at)

    def _is(self, kinds, shape: Shape, value: object, at: str) -> bool:
        # A bool is an int for Python and not for AWS.
        fits = isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
        if not fits:
            self.fault(at, value, f"is no {shape.type_name}")
        return fits

    def _size(self, shape: Shape, size: float, value: object, at: str, what: str):
        least, most = shape.metadata.get("min"), shape.metadata.get("max")
        if least is not None and size < least:
            self.fault(at, value, f"{what} is {size}, and at least {least} is asked for")
        if most is not None and size > most:
            self.fault(at, value, f"{what} is {size}, and at most {most} is allowed")

    def _structure(self, shape: Shape, value: object, at: str):
        if not self._is(dict, shape, value, at):
            return
        for name in shape.required_members:
            if name not in value:
                self.fault(_below(at, name), None, "is required, and missing")
        if shape.metadata.get("union") or getattr(shape, "is_tagged_union", False):
            if len(value) != 1:
                self.fault(at, sorted(value), "is a union: exactly one member is allowed")
        for name, member in value.items():
            self.judge(shape.members[name], member, _below(at, name))

    def _list(self, shape: Shape, value: object, at: str):
        if not self._is(list, shape, value, at):
            return
        self._size(shape, len(value), value, at, "its length")
        for place, item in enumerate(value):
            self.judge(shape.member, item, f"{at}[{place}]")

    def _map(self, shape: Shape, value: object, at: str):
        if not self._is(dict, shape, value, at):
            return
        self._size(shape, len(value), value, at, "its length")
        for key, item in value.items():
            self.judge(shape.key, key, f"{at} (key)")
            self.judge(shape.value, item, _below(at, key))

    def _string(self, shape: Shape, value: object, at: str):
        if not self._is(str, shape, value, at):
            return
        self._size(shape, len(value), value, at, "its length")
        enum = shape.metadata.get("enum")
        if enum and value not in enum:
            self.fault(at, value, f"is none of {', '.join(enum[:12])}{'...' if len(enum) > 12 else ''}")
        pattern = shape.metadata.get("pattern")
        if pattern:
            try:
                matches = regex.fullmatch(pattern.replace(JAVA_HALVES, r"\U00010000-\U0010FFFF"), value)
            except regex.error as problem:
                self.unchecked.append(f"the pattern of {shape.name}, {pattern}: {problem}")
            else:
                if not matches:
                    self.fault(at, value, f"does not match {pattern}")

    _character = _string

    def _blob(self, shape: Shape, value: object, at: str):
        if isinstance(value, Content):
            self._size(shape, value.size, value, at, "its length")
        elif self._is(bytes, shape, value, at):
            self._size(shape, len(value), value, at, "its length")

    def _integer(self, shape: Shape, value: object, at: str):
        if self._is(int, shape, value, at):
            self._size(shape, value, value, at, "it")

    _long = _integer

    def _float(self, shape: Shape, value: object, at: str):
        if self._is((int, float), shape, value, at):
            self._size(shape, value, value, at, "it")

    _double = _float

    def _boolean(self, shape: Shape, value: object, at: str):
        self._is(bool, shape, value, at)

    def _timestamp(self, shape: Shape, value: object, at: str):
        self._is(datetime.datetime, shape, value, at)


def _below(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _wire_names(shape: Shape) -> dict[str, str]:
    """A structure's members by how they are written."""
    return {member.serialization.get("name", name): name for name, member in shape.members.items()}


def _time(value: object, at: str) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.datetime.fromtimestamp(value, datetime.UTC)
        if re.match(r"\d{4}-", value):
            return datetime.datetime.fromisoformat(value)
        return email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        raise Fault(at, value, "is no timestamp") from None


def from_json(shape: Shape, value: object, at: str = "") -> object:
    """A value of a JSON or CBOR body, under the members' own names. What has another type stays, for the judge."""
    match shape.type_name:
        case "structure" if isinstance(value, dict) and not getattr(shape, "is_document_type", False):
            names, members = _wire_names(shape), {}
            for wire, member in value.items():
                if wire not in names:
                    raise Fault(_below(at, wire), member, "is no member that the operation knows")
                if member is not None:
                    name = names[wire]
                    members[name] = from_json(shape.members[name], member, _below(at, name))
            return members
        case "list" if isinstance(value, list):
            return [from_json(shape.member, item, f"{at}[{place}]") for place, item in enumerate(value)]
        case "map" if isinstance(value, dict):
            return {key: from_json(shape.value, item, _below(at, key)) for key, item in value.items()}
        case "blob" if isinstance(value, str):
            return _bytes(value, at)
        case "timestamp":
            return _time(value, at)
        case "float" | "double" if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
    return value


def _bytes(text: str, at: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Fault(at, text, "is no base64") from None


def from_text(shape: Shape, text: str, at: str) -> object:
    """A value of a header, a path, a query or an XML element."""
    try:
        match shape.type_name:
            case "integer" | "long":
                return int(text)
            case "float" | "double":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text]
            case "timestamp":
                return _time(text, at)
            case "blob":
                return _bytes(text, at)
            case "list":
                return [from_text(shape.member, item.strip(), at) for item in text.split(",")]
    except (ValueError, KeyError):
        raise Fault(at, text, f"is no {shape.type_name}") from None
    return text


def from_query(shape: Shape, prefix: str, pairs: dict[str, str], at: str = "") -> object:
    """A value of the query protocol; what is read is taken out of the pairs. None where there is nothing."""
    flattened = shape.serialization.get("flattened")
    match shape.type_name:
        case "structure":
            members = {}
            for wire, name in _wire_names(shape).items():
                below = f"{prefix}.{wire}" if prefix else wire
                member = from_query(shape.members[name], below, pairs, _below(at, name))
                if member is not None:
                    members[name] = member
            return members if members or not prefix else None
        case "list":
            inner = prefix if flattened else f"{prefix}.{shape.member.serialization.get('name', 'member')}"
            items = []
            while (item := from_query(shape.member, f"{inner}.{len(items) + 1}", pairs, f"{at}[]")) is not None:
                items.append(item)
            return items or None
        case "map":
            inner = prefix if flattened else f"{prefix}.entry"
            key_name, value_name = (
                part.serialization.get("name", default)
                for part, default in ((shape.key, "key"), (shape.value, "value"))
            )
            entries: dict[str, object] = {}
            while (key := pairs.pop(f"{inner}.{len(entries) + 1}.{key_name}", None)) is not None:
                below = f"{inner}.{len(entries) + 1}.{value_name}"
                entries[key] = from_query(shape.value, below, pairs, _below(at, key))
            return entries or None
    text = pairs.pop(prefix, None)
    return None if text is None else from_text(shape, text, at)


def from_xml(shape: Shape, element: xml.etree.ElementTree.Element, at: str) -> object:
    """A value of an XML body."""
    if shape.type_name != "structure":
        return from_text(shape, element.text or "", at)
    names, members = _wire_names(shape), {}
    for child in element:
        wire = child.tag.rpartition("}")[2]
        if wire not in names:
            raise Fault(_below(at, wire), child.text, "is no element that the operation knows")
        name = names[wire]
        member, below = shape.members[name], _below(at, name)
        if member.type_name != "list":
            members[name] = from_xml(member, child, below)
        else:
            items = [child] if member.serialization.get("flattened") else list(child)
            for item in items:
                of_list = members.setdefault(name, [])
                of_list.append(from_xml(member.member, item, f"{below}[{len(of_list)}]"))
    return members


class Models:
    """The services' models, and which operation a request is."""

    def __init__(self):
        loader = botocore.session.Session().get_component("data_loader")
        self.services = {
            name: ServiceModel(loader.load_service_model(name, "service-2"), name) for name in SERVICES
        }

    def operation(self, request: dict) -> OperationModel:
        headers = request["headers"]
        if target := headers.get("x-amz-target"):
            prefix, _, name = target.rpartition(".")
            services = [s for s in self.services.values() if s.metadata.get("targetPrefix") == prefix]
        elif path := re.fullmatch(r"/service/([^/]+)/operation/([^/]+)", request["path"]):
            prefix, name = path.groups()
            services = [s for s in self.services.values() if s.metadata.get("targetPrefix") == prefix]
        else:
            signed = [s for s in self.services.values() if s.signing_name == request["service"]]
            if name := request["form"].get("Action"):
                services = [s for s in signed if s.metadata["protocol"] == "query"]
            else:
                return self._by_path(signed, request)
        for service in services:
            if name in service.operation_names:
                return service.operation_model(name)
        raise Unchecked(f"no model knows `{target or name}` of {request['service']}")

    def _by_path(self, services: list[ServiceModel], request: dict) -> OperationModel:
        found = []
        for service in services:
            if not service.metadata["protocol"].startswith("rest"):
                continue
            for name in service.operation_names:
                operation = service.operation_model(name)
                if operation.http["method"] != request["method"]:
                    continue
                path, fixed = _template(operation)
                if path.fullmatch(request["path"]) and fixed.items() <= request["query"].items():
                    missing, there = _required(operation, request)
                    found.append(((len(fixed), -missing, there), operation))
        named = [operation for _, operation in found if operation.name == request["query"].get("x-id")]
        if named:
            return named[0]
        found.sort(key=lambda one: one[0], reverse=True)
        if not found or (len(found) > 1 and found[0][0] == found[1][0]):
            raise Unchecked(f"no one operation of {request['service']} is `{request['method']} {request['path']}`")
        return found[0][1]


def _template(operation: OperationModel) -> tuple[re.Pattern, dict[str, str]]:
    """An operation's path, with a group for each label, and the query that is always there."""
    path, _, query = operation.http["requestUri"].partition("?")
    pattern = ""
    for part in re.split(r"(\{[^}]+\})", path):
        if part.startswith("{"):
            name = part[1:-1]
            pattern += f"(?P<{name.rstrip('+')}>{'.+' if name.endswith('+') else '[^/]+'})"
        else:
            pattern += re.escape(part)
    return re.compile(pattern + "/?" * (not path.endswith("+}"))), dict(
        urllib.parse.parse_qsl(query, keep_blank_values=True)
    )


def _required(operation: OperationModel, request: dict) -> tuple[int, int]:
    """How many required parameters of query and headers are missing, and how many are there."""
    shape = operation.input_shape
    there = []
    for name in shape.required_members if shape else []:
        member = shape.members[name].serialization
        if member.get("location") == "querystring":
            there.append(member["name"] in request["query"])
        elif member.get("location") == "header":
            there.append(member["name"].lower() in request["headers"])
    return there.count(False), there.count(True)


def _rest_input(operation: OperationModel, request: dict) -> dict:
    """The input of a REST operation, from path, query, headers and body."""
    shape, members = operation.input_shape, {}
    path, fixed = _template(operation)
    labels = path.fullmatch(request["path"])
    headers, query = dict(request["headers"]), dict(request["query"])
    for name in [*fixed, "x-id"]:
        query.pop(name, None)
    if labels is None:
        raise Fault("path", request["path"], f"is not {operation.http['requestUri']}")
    in_body = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        text = None
        match member.serialization.get("location"):
            case "uri":
                text = urllib.parse.unquote(labels[wire])
            case "querystring" if member.type_name != "map":
                text = query.pop(wire, None)
            case "header":
                text = headers.pop(wire.lower(), None)
                if text is not None and member.serialization.get("jsonvalue"):
                    text = base64.b64decode(text).decode()
            case "headers":
                prefixed = [key for key in headers if key.startswith(wire.lower())]
                if prefixed:
                    members[name] = {key[len(wire) :]: headers.pop(key) for key in prefixed}
            case None:
                in_body[name] = member
        if text is not None:
            members[name] = from_text(member, text, name)
    for name, value in query.items():
        raise Fault(name, value, "is no query parameter that the operation knows")
    for name, value in headers.items():
        if name.startswith("x-amz-") and name not in COMMON_HEADERS:
            raise Fault(name, value, "is no header that the operation knows")
    payload = shape.serialization.get("payload")
    if payload:
        body = _payload(shape.members[payload], payload, request)
        if body is not None:
            members[payload] = body
    elif in_body:
        if request.get("json") is None:
            raise Unchecked(f"its body was left out: {request.get('left_out')}")
        body = from_json(shape, request["json"])
        members.update({name: value for name, value in body.items() if name in in_body})
    return members


def _payload(shape: Shape, name: str, request: dict) -> object:
    headers = request["headers"]
    size = int(headers.get("x-amz-decoded-content-length") or headers.get("content-length") or 0)
    if shape.type_name in ("blob", "string") or shape.serialization.get("streaming"):
        return Content(size) if size else None
    if request.get("text"):
        return from_xml(shape, xml.etree.ElementTree.fromstring(request["text"]), name)
    if request.get("json") is not None:
        return from_json(shape, request["json"], name)
    if size:
        raise Unchecked(f"its body was left out: {request.get('left_out')}")
    return None


def input_of(operation: OperationModel, request: dict) -> object:
    """What an operation was given."""
    shape = operation.input_shape
    if shape is None:
        return {}
    protocol = operation.service_model.metadata["protocol"]
    if protocol.startswith("rest"):
        return _rest_input(operation, request)
    if request.get("cbor") is not None:
        body = base64.b64decode(request["cbor"])
        if request["headers"].get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        return from_json(shape, cbor2.loads(body) if body else {})
    if request["form"]:
        pairs = {name: value for name, value in request["form"].items() if name not in ("Action", "Version")}
        value = from_query(shape, "", pairs)
        for name, text in pairs.items():
            raise Fault(name, text, "is no parameter that the operation knows")
        return value
    if request.get("json") is None:
        raise Unchecked(f"its body was left out: {request.get('left_out')}")
    return from_json(shape, request["json"])


def check(models: Models, line: dict) -> tuple[str | None, list[str], list[str]]:
    """The operation as IAM names it, its faults, and what could not be judged."""
    request = line | {
        "headers": {name.lower(): value for name, value in line["headers"]},
        "query": dict(line["query"]),
        "form": {},
    }
    if "x-www-form-urlencoded" in request["headers"].get("content-type", ""):
        request["form"] = dict(urllib.parse.parse_qsl(request.get("text") or "", keep_blank_values=True))
    try:
        operation = models.operation(request)
    except Unchecked as reason:
        return None, [], [str(reason)]
    service = operation.service_model.service_name
    title, judge = f"{service} {operation.name}", Judge()
    try:
        value = input_of(operation, request)
        if operation.input_shape is not None:
            judge.judge(operation.input_shape, value, "")
    except Fault as fault:
        judge.faults.append(fault)
    except Unchecked as reason:
        return None, [], [f"{title}: {reason}"]
    faults = [f"{title}: {fault}" for fault in judge.faults]
    return f"{SERVICES[service]}:{operation.name}", faults, [f"{title}: {what}" for what in judge.unchecked]


def main(path: str):
    models, known = Models(), {}
    seen: dict[str, dict[str, int]] = {}
    faults: dict[str, None] = {}
    unchecked: dict[str, None] = {}
    with open(path, encoding="utf-8") as lines:
        for text in lines:
            line = json.loads(text)
            role = line.pop("role")
            # Traces and times differ from one request to the next, and no rule is about them.
            volatile = ("amz-sdk-", "x-amzn-trace-id", "x-amz-date", "user-agent", "x-amz-user-agent")
            line["headers"] = [pair for pair in line["headers"] if not pair[0].startswith(volatile)]
            key = json.dumps(line)
            if key not in known:
                known[key] = check(models, line)
            operation, broken, unjudged = known[key]
            faults.update((f"{role}: {fault}", None) for fault in broken)
            unchecked.update((f"{role}: {what}", None) for what in unjudged)
            if operation:
                of_role = seen.setdefault(role, {})
                of_role[operation] = of_role.get(operation, 0) + 1
    json.dump({"faults": list(faults), "unchecked": list(unchecked), "seen": seen}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
