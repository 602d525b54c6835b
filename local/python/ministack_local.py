"""Starts MiniStack 1.5.33 in this process, corrected where AWS behaves otherwise and the pipeline depends on it.

EventBridge
 1. PutEvents accepts `aws.*` sources, so that a local service can emit its state-change events.
 2. Schedules are looked at every second instead of every ten.
Step Functions
 3. An error of the Lambda behind `lambda:invoke.waitForTaskToken` fails the task at once (the release swallows it,
    and the state hangs until its timeout).
 4. HeartbeatSeconds is enforced for waiting tasks; TimeoutSecondsPath and HeartbeatSecondsPath are resolved.
 5. StopExecution stops: no state of a stopped execution starts, in a Map or a Parallel either, its waits end, and a
    late failure does not turn ABORTED into FAILED. Likewise for a state machine's TimeoutSeconds, which is enforced.
 6. The first failing branch of a Parallel, or iteration of a Map, ends its siblings' waits and lets none of their
    further states start. A Lambda that a sibling is in is still waited for.
 7. StartExecution with the name and input of a running execution answers that execution.
 8. A token that was answered, or whose state ended, answers TaskTimedOut, and an unknown one InvalidToken.
 9. History tells of the states inside a Parallel and a Map too, names the event before each, and calls a sibling that was
    stopped aborted.
Lambda
10. A function's credentials are those of its role, whether or not AUTH enforces policies.
11. Writing its log makes no log group: on AWS that takes logs:CreateLogGroup, which no function's role here has. A group
    that `terraform destroy` deleted under a running function stays deleted.
IAM
12. No signature is looked at, so that services beside this one can call it by naming a key. With AUTH=true what the
    key's owner may do is enforced all the same.
13. Policies see `s3:if-none-match` and `s3:ObjectCreationOperation`, and their variables (`${aws:userid}`) are replaced
    in Resource and NotResource. DescribeRepositories is about the repositories that it names, DescribeAlarms about the alarm,
    and PutEvents about its `events:source`.
14. `LockstepAuthorize`, which AWS does not have, answers whether a key's owner may do something: services beside this one
    ask it, so that one evaluator judges every call.
EC2
15. Security-group rules keep their prefix lists; a subnet is behind its VPC's default ACL from the start, an ACL is found
    by its subnet, and entries keep their ports.
CloudWatch
16. Alarms are evaluated every second, not only when a metric is put; by their dimensions, period by period,
    `DatapointsToAlarm` of `EvaluationPeriods`, with `TreatMissingData`: so that one endpoint's errors ring no other's
    alarm, and an alarm ends when its cause does. Periods slide by the second and the present one counts as it is. A state
    that SetAlarmState set stays for one period.
17. Every change of an alarm's state is an event, `CloudWatch Alarm State Change`.

Environment: GATEWAY_PORT, BIND_HOST=127.0.0.1, IOT_MTLS_ENABLED=0, SFTP_ENABLED=0, AWS_ENDPOINT_URL (what Lambdas
are given), AUTH=true (policies are enforced), LOCKSTEP_DECISIONS (a file; every decision about a role's session is added to
it, a JSON object a line), LOCKSTEP_REHEARSAL_URL (asked before a function is invoked and when it ended: an answer `again`
to the latter invokes it once more). Health: GET /_ministack/health.
"""

import contextvars
import copy
import dataclasses
import hashlib
import json
import operator
import os
import re
import sys
import threading
import time
import urllib.request

import cbor2
import ministack.core.iam_actions as iam_actions
import ministack.core.iam_evaluator as iam_evaluator
import ministack.core.lambda_runtime as lambda_runtime
import ministack.services.cloudwatch as cloudwatch
import ministack.services.cloudwatch_logs as cloudwatch_logs
import ministack.services.ec2 as ec2
import ministack.services.eventbridge as eventbridge
import ministack.services.iam as iam
import ministack.services.kms as kms
import ministack.services.lambda_svc as lambda_service
import ministack.services.scheduler as scheduler
import ministack.services.stepfunctions as stepfunctions
import ministack.services.sts as sts
from ministack.app import main
from ministack.core.responses import (
    error_response_json, json_response, now_iso, request_scope)

ExecutionError = stepfunctions._ExecutionError

# --- EventBridge ------------------------------------------------------------------------------------------------

_put_events = eventbridge._put_events


def put_events_from_any_source(data, allow_aws_source=False):
    return _put_events(data, True)


eventbridge._put_events = put_events_from_any_source
eventbridge._SCHEDULER_TICK_INTERVAL = 1
scheduler._SCHEDULE_TICK_INTERVAL = 1

# --- Step Functions: what stops together ------------------------------------------------------------------------

# The error that a stopped scope's states end in. No Retry or Catch sees it.
STOPPED = "Lockstep.Stopped"


class Scope:
    """States that stop together: an execution, or the branches of one attempt at a Parallel or Map."""

    def __init__(self, parent=None):
        self.lock = threading.Lock()
        self.stopped = threading.Event()
        self.children, self.tokens = [], set()
        self.failure = None
        if parent is not None:
            with parent.lock:
                parent.children.append(self)
            if parent.stopped.is_set():
                self.stop()

    def stop(self, failure=None):
        with self.lock:
            if self.failure is None:
                self.failure = failure
            self.stopped.set()
            children, tokens = list(self.children), list(self.tokens)
        for child in children:
            child.stop()
        for token in tokens:
            end_wait(token, STOPPED, "The execution no longer runs this state")

    def check(self):
        if self.stopped.is_set():
            raise ExecutionError(STOPPED, "The execution no longer runs this state")


_scope = contextvars.ContextVar("scope", default=None)
_token = contextvars.ContextVar("token", default=None)
_last_event = contextvars.ContextVar("last_event", default=0)
_history = threading.Lock()
_execution_scopes = {}
_ended_tokens = set()


def end_wait(token, error, cause):
    task = stepfunctions._task_tokens.get(token)
    if task and not task["event"].is_set():
        task["error"] = {"Error": error, "Cause": cause}
        task["event"].set()


_run_execution = stepfunctions._run_execution
_fail_execution = stepfunctions._fail_execution
_stop_execution = stepfunctions._stop_execution
_start_execution = stepfunctions._start_execution
_execute_task = stepfunctions._execute_task
_add_event = stepfunctions._add_event
_run_parallel_branches = stepfunctions._run_parallel_branches
_run_map_items = stepfunctions._run_map_items
_find_matching_retrier = stepfunctions._find_matching_retrier
_find_matching_catcher = stepfunctions._find_matching_catcher
_scaled_sleep = stepfunctions._scaled_sleep
_call_lambda = stepfunctions._call_lambda
_invoke_with_callback = stepfunctions._invoke_with_callback


def run_execution(execution_arn):
    execution = stepfunctions._executions.get(execution_arn)
    scope = _execution_scopes.setdefault(execution_arn, Scope())
    _scope.set(scope)
    timer = None
    if execution:
        machine = stepfunctions._state_machines.get(execution["stateMachineArn"]) or {}
        try:
            seconds = json.loads(machine.get("definition", "{}")).get("TimeoutSeconds")
        except ValueError:
            seconds = None
        if seconds:
            context = contextvars.copy_context()
            timer = threading.Timer(seconds, context.run, (time_out_execution, execution, scope))
            timer.daemon = True
            timer.start()
    try:
        _run_execution(execution_arn)
    finally:
        if timer:
            timer.cancel()
        _execution_scopes.pop(execution_arn, None)


def time_out_execution(execution, scope):
    if execution["status"] != "RUNNING":
        return
    execution["status"] = "TIMED_OUT"
    execution["stopDate"] = now_iso()
    stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
    stepfunctions._emit_execution_status_event(execution)
    scope.stop()


def fail_execution_that_runs(execution, error, cause):
    if execution["status"] == "RUNNING":
        _fail_execution(execution, error, cause)


def stop_execution(data):
    answer = _stop_execution(data)
    scope = _execution_scopes.get(data.get("executionArn"))
    if scope and answer[0] == 200:
        scope.stop()
    return answer


def start_execution_once(data):
    machine = stepfunctions._resolve_state_machine_arn(data.get("stateMachineArn", "").split("#")[0])
    if machine and data.get("name"):
        arn = machine.replace(":stateMachine:", ":execution:") + ":" + data["name"]
        first = stepfunctions._executions.get(arn)
        if first and first["status"] == "RUNNING" and first["input"] == data.get("input", "{}"):
            return json_response({"executionArn": arn, "startDate": first["startDate"]})
    return _start_execution(data)


def execute_task(state, raw_input, execution, context):
    scope = _scope.get()
    if scope:
        scope.check()
    if execution and execution.get("status") not in (None, "RUNNING"):
        raise ExecutionError(STOPPED, "The execution no longer runs this state")
    resolved = dict(state)
    for field in ("TimeoutSeconds", "HeartbeatSeconds"):
        path = resolved.pop(f"{field}Path", None)
        if path is None:
            continue
        effective = stepfunctions._apply_input_path(state, raw_input, context)
        seconds = stepfunctions._resolve_path_or_ctx(path, effective, context)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds <= 0:
            raise ExecutionError(
                "States.Runtime", f"{field}Path '{path}' must select a positive whole number, and selects {seconds!r}")
        resolved[field] = seconds
    return _execute_task(resolved, raw_input, execution, context)


def add_event_after_another(execution, kind, details=None):
    failed = (details or {}).get("taskFailedEventDetails") or {}
    if failed.get("error") == STOPPED:
        kind, details = "TaskStateAborted", None
    # Branches add side by side, and an event's id is its place. Each branch has a context of its own, copied from the
    # state that it is in: the event before is the one of the same branch.
    with _history:
        event = _add_event(execution, kind, details)
        event["previousEventId"] = _last_event.get()
    _last_event.set(event["id"])
    return event


def run_states(states, name, data, execution, context):
    """As the release's own loop, and tells history of each state."""
    data = copy.deepcopy(data)
    while name:
        state = states.get(name)
        if not state:
            raise ExecutionError("States.Runtime", f"State '{name}' not found")
        kind = state.get("Type")
        context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
        entered = {"stateEnteredEventDetails": {"name": name, "input": json.dumps(data)}}
        stepfunctions._add_event(execution, f"{kind}StateEntered", entered)
        if kind == "Fail":
            raise ExecutionError(*stepfunctions._fail_state_error(state, data, context))
        if kind == "Succeed":
            data, following = stepfunctions._apply_input_path(state, data, context), None
            data = stepfunctions._apply_output_path(state, data, context)
        elif kind in ("Task", "Parallel", "Map"):
            data, following = getattr(stepfunctions, f"_execute_{kind.lower()}")(state, data, execution, context)
        elif kind in ("Pass", "Choice", "Wait"):
            data, following = getattr(stepfunctions, f"_execute_{kind.lower()}")(state, data, context)
        else:
            raise ExecutionError("States.Runtime", f"Unknown state type: {kind}")
        exited = {"stateExitedEventDetails": {"name": name, "output": json.dumps(data)}}
        stepfunctions._add_event(execution, f"{kind}StateExited", exited)
        name = following
    return data


def run_sub_machine(states, start_at, input_data, execution, context):
    # Branches that run side by side must not see each other's State and Task in the context object.
    try:
        return run_states(states, start_at, input_data, execution, dict(context))
    except ExecutionError as failure:
        scope = _scope.get()
        if scope and failure.error != STOPPED:
            scope.stop(failure)
        raise


def stopping_together(run):
    def attempt(state, raw_input, execution, context):
        parent = _scope.get()
        scope = Scope(parent)
        marker = _scope.set(scope)
        try:
            return run(state, raw_input, execution, context)
        except ExecutionError:
            if parent:
                parent.check()
            if scope.failure:  # The first to fail, where the release reports the first in order.
                raise scope.failure from None
            raise
        finally:
            _scope.reset(marker)

    return attempt


def find_retrier(retriers, error, counts):
    return (None, -1) if error == STOPPED else _find_matching_retrier(retriers, error, counts)


def find_catcher(catchers, error):
    return None if error == STOPPED else _find_matching_catcher(catchers, error)


def sleep_unless_stopped(seconds):
    scope = _scope.get()
    if scope is None:
        return _scaled_sleep(seconds)
    if scope.stopped.wait(seconds):
        scope.check()


stepfunctions._run_execution = run_execution
stepfunctions._fail_execution = fail_execution_that_runs
stepfunctions._stop_execution = stop_execution
stepfunctions._start_execution = start_execution_once
stepfunctions._add_event = add_event_after_another
stepfunctions._execute_task = execute_task
stepfunctions._run_sub_machine = run_sub_machine
stepfunctions._run_parallel_branches = stopping_together(_run_parallel_branches)
stepfunctions._run_map_items = stopping_together(_run_map_items)
stepfunctions._find_matching_retrier = find_retrier
stepfunctions._find_matching_catcher = find_catcher
stepfunctions._scaled_sleep = sleep_unless_stopped

# --- Step Functions: waiting for a task token -------------------------------------------------------------------


def call_lambda_failing_its_task(reference, event):
    try:
        return _call_lambda(reference, event)
    except ExecutionError as failure:
        end_wait(_token.get(), failure.error, failure.cause)
        raise


def invoke_with_heartbeat(resource, input_data, token, state):
    scope = _scope.get()
    if scope:
        with scope.lock:
            scope.tokens.add(token)
        scope.check()
    marker = _token.set(token)
    seconds = state.get("HeartbeatSeconds")
    done = threading.Event()

    def watch():
        last_beat, seen = time.monotonic(), None
        while not done.wait(0.2):
            task = stepfunctions._task_tokens.get(token)
            if task is None:
                continue
            if task["heartbeat"] != seen:
                seen, last_beat = task["heartbeat"], time.monotonic()
            if time.monotonic() - last_beat > seconds:
                end_wait(token, "States.Timeout", "Heartbeat timed out")
                return

    _ended_tokens.discard(token)
    if seconds:
        threading.Thread(target=watch, daemon=True).start()
    try:
        return _invoke_with_callback(resource, input_data, token, state)
    finally:
        done.set()
        _token.reset(marker)
        _ended_tokens.add(token)
        if scope:
            with scope.lock:
                scope.tokens.discard(token)


def answering_once(answer):
    def guarded(data):
        token = data.get("taskToken")
        task = stepfunctions._task_tokens.get(token)
        if task is None or task["event"].is_set():
            if task is None and token not in _ended_tokens:
                return error_response_json("InvalidToken", "Invalid Token: 'Invalid token'", 400)
            return error_response_json(
                "TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'", 400)
        return answer(data)

    return guarded


def succeed_with_json(data):
    try:
        json.loads(data.get("output", "null"))
    except ValueError:
        return error_response_json("InvalidOutput", "Invalid Output: 'The provided JSON output data is invalid'", 400)
    return _send_task_success(data)


_send_task_success = stepfunctions._send_task_success
stepfunctions._call_lambda = call_lambda_failing_its_task
stepfunctions._invoke_with_callback = invoke_with_heartbeat
stepfunctions._send_task_success = answering_once(succeed_with_json)
stepfunctions._send_task_failure = answering_once(stepfunctions._send_task_failure)
stepfunctions._send_task_heartbeat = answering_once(stepfunctions._send_task_heartbeat)

# --- Lambda -----------------------------------------------------------------------------------------------------


def role_credentials(config):
    """A session of the function's role; `UserId` carries the role's id, which is what `aws:userid` is on AWS."""
    account, _region = lambda_runtime._account_region_from_function_config(config)
    role_arn, name = config.get("Role", ""), config.get("FunctionName", "function")[:64]
    role_name = role_arn.rsplit("/", 1)[-1]
    role = iam._roles.get_scoped(account, None, role_name) or {}
    digest = hashlib.sha256(f"{config.get('FunctionArn', '')}:{role_arn}".encode()).hexdigest()
    key = f"ASIA{digest[:16].upper()}"
    secret = hashlib.sha256(f"secret:{digest}".encode()).hexdigest()
    token = hashlib.sha256(f"token:{digest}".encode()).hexdigest()
    sts.register_session(key, {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{name}",
        "UserId": f"{role.get('RoleId', role_name)}:{name}",
        "SecretAccessKey": secret,
        "SessionToken": token,
    })
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


lambda_runtime.execution_credentials = role_credentials
lambda_service.execution_credentials = role_credentials

_emit_lambda_logs = lambda_service._emit_lambda_logs


def emit_logs_to_existing_group(func, request_id, log_text, error, duration_ms, *, log_source=None):
    config = func.get("config") or func
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config.get('FunctionName', 'unknown')}"
    if group in cloudwatch_logs._log_groups:
        _emit_lambda_logs(func, request_id, log_text, error, duration_ms, log_source=log_source)


lambda_service._emit_lambda_logs = emit_logs_to_existing_group

_DECISIONS = os.environ.get("LOCKSTEP_DECISIONS")
_REHEARSAL_URL = os.environ.get("LOCKSTEP_REHEARSAL_URL")
_execute_function_dispatch = lambda_service._execute_function_dispatch


def ask_rehearsal(function, moment, error=None):
    body = json.dumps({"function": function, "moment": moment, "error": error, "decisions": _DECISIONS,
                       "endpoint": os.environ.get("AWS_ENDPOINT_URL")}).encode()
    request = urllib.request.Request(_REHEARSAL_URL, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def error_of(result):
    """The error's name, if the function failed."""
    if not isinstance(result, dict) or not result.get("error"):
        return None
    body = result.get("body")
    try:
        return (json.loads(body) if isinstance(body, (str, bytes)) else body or {}).get("errorType", "Unknown")
    except (ValueError, AttributeError):
        return "Unknown"


def rehearse(func, config, event, request_id, started):
    """One invocation; while a rehearsal says `again`, one more. One that succeeded is repeated once at most: AWS too
    delivers what was handled already."""
    name, repeated = config.get("FunctionName", ""), False
    ask_rehearsal(name, "before")
    while True:
        result = _execute_function_dispatch(func, config, event, request_id, started)
        error = error_of(result)
        if error is None and repeated:
            return result
        repeated = repeated or error is None
        if ask_rehearsal(name, "succeeded" if error is None else "failed", error) != "again":
            return result


if _REHEARSAL_URL:
    lambda_service._execute_function_dispatch = rehearse

# --- IAM --------------------------------------------------------------------------------------------------------


def authenticate_by_name(_access_key_id, _account_id):
    iam_evaluator._signed_request.set(None)


_s3_service_context = iam_actions.s3_service_context


def s3_context_of_writes(iam_action, query_params, path="", headers=None):
    context = _s3_service_context(iam_action, query_params, path, headers)
    if iam_action == "s3:PutObject":
        # An upload that is begun, and each of its parts, create no object yet.
        begun = "uploads" in (query_params or {}) or "partNumber" in (query_params or {})
        context["s3:ObjectCreationOperation"] = "false" if begun else "true"
        if (headers or {}).get("if-none-match"):
            context["s3:if-none-match"] = headers["if-none-match"]
    return {name.lower(): value for name, value in context.items()} | context


_VARIABLE = re.compile(r"\$\{([^}*?$]+)\}")
_first_match = iam_evaluator._first_match


def first_match_of_caller(context, statements, effect):
    def replace(pattern):
        # A variable without a value stays as it is, and so matches nothing.
        return _VARIABLE.sub(
            lambda found: str(iam_evaluator._resolve_condition_key(found[1], context) or found[0]), pattern)

    replaced = [
        dataclasses.replace(
            statement,
            resources=[replace(pattern) for pattern in statement.resources],
            not_resources=[replace(pattern) for pattern in statement.not_resources],
        )
        for statement in statements
    ]
    return _first_match(context, replaced, effect)


_extract_resource_arn = iam_actions.extract_resource_arn


_event_sources = contextvars.ContextVar("event_sources", default=())


def sources_of_events(body):
    try:
        return tuple({str(entry.get("Source", "")) for entry in json.loads(body or b"{}").get("Entries", [])})
    except (ValueError, AttributeError, TypeError):
        return ()


def resource_of_request(service, method, path, headers, body, query_params, region, account_id):
    if service == "events":
        _event_sources.set(sources_of_events(body))
    if service == "ecr" and headers.get("x-amz-target", "").endswith(".DescribeRepositories"):
        names = json.loads(body or b"{}").get("repositoryNames") or []
        if len(names) == 1:
            return f"arn:aws:ecr:{region}:{account_id}:repository/{names[0]}"
    if service == "kms" and b'"alias/' in (body or b""):
        # An alias is another name of a key, and a policy names the key.
        record = kms._resolve_key(json.loads(body).get("KeyId") or "")
        if record:
            return record["Arn"]
    if service == "monitoring" and "cbor" in headers.get("content-type", ""):
        names = (cbor2.loads(body) if body else {}).get("AlarmNames") or []
        if len(names) == 1:
            return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{names[0]}"
    return _extract_resource_arn(service, method, path, headers, body, query_params, region, account_id)


_decisions = threading.Lock()
_enforce = iam_evaluator.enforce


def enforce_and_tell(access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
    if iam_action == "events:PutEvents" and len(_event_sources.get()) == 1:
        # Of several sources none is named, so that a policy that names one does not let the others in.
        service_context = {**(service_context or {}), "events:source": _event_sources.get()[0]}
    denied = _enforce(access_key_id, iam_action, service, region, resource_arn, service_context)
    session = sts._sessions.get(access_key_id)
    if _DECISIONS and session:
        line = json.dumps({"principal": session.get("Arn", ""), "action": iam_action, "resource": resource_arn,
                           "allowed": denied is None})
        with _decisions, open(_DECISIONS, "a", encoding="utf-8") as decisions:
            decisions.write(line + "\n")
    return denied


def authorize(parameters):
    """Whether AccessKeyId's owner may do Action on Resource, given the condition keys in Context (a JSON object)."""
    action, resource = iam._p(parameters, "ForAction"), iam._p(parameters, "Resource")
    context = json.loads(iam._p(parameters, "Context") or "{}")
    denied = enforce_and_tell(
        iam._p(parameters, "AccessKeyId"), action, action.split(":")[0], iam._p(parameters, "Region"), resource, context)
    if denied is None:
        code = message = ""
    elif isinstance(denied, iam_evaluator.AuthError):
        code, message = denied.code, denied.message
    else:
        code = "AccessDeniedException"
        message = iam_actions.identity_denial_message(action, denied.principal_arn, resource, denied.decision == "Deny")
    answer = f"<Code>{code}</Code><Message>{iam_actions._xml_escape(message)}</Message>"
    return iam._xml(200, "LockstepAuthorizeResponse", answer, ns="iam")


iam_evaluator.enforce = enforce_and_tell
iam._IAM_HANDLERS["LockstepAuthorize"] = authorize
iam_evaluator.authenticate = authenticate_by_name
iam_actions.extract_resource_arn = resource_of_request
iam_evaluator._first_match = first_match_of_caller
iam_actions.s3_service_context = s3_context_of_writes

# --- EC2 --------------------------------------------------------------------------------------------------------

_parse_ip_permissions = ec2._parse_ip_permissions
_sg_rule_xml = ec2._sg_rule_xml
_network_acl_entry_xml = ec2._network_acl_entry_xml


def permissions_with_prefix_lists(params, prefix):
    rules = _parse_ip_permissions(params, prefix)
    for number, rule in enumerate(rules, 1):
        place = 1
        while list_id := ec2._p(params, f"{prefix}.{number}.PrefixListIds.{place}.PrefixListId"):
            entry = {"PrefixListId": list_id}
            if description := ec2._p(params, f"{prefix}.{number}.PrefixListIds.{place}.Description"):
                entry["Description"] = description
            rule["PrefixListIds"].append(entry)
            place += 1
    return rules


def rule_with_prefix_list(sg_id, rule, is_egress=False):
    xml = _sg_rule_xml(sg_id, rule, is_egress)
    for entry in rule.get("PrefixListIds", []):
        xml = xml.replace("</toPort>", f"</toPort><prefixListId>{entry['PrefixListId']}</prefixListId>", 1)
    return xml


def associate_with_default_acls():
    """AWS puts a subnet behind its VPC's default ACL when it makes it."""
    taken = {association["SubnetId"] for acl in ec2._network_acls.values() for association in acl["Associations"]}
    for subnet in ec2._subnets.values():
        if subnet["SubnetId"] not in taken:
            for acl in ec2._network_acls.values():
                if acl["IsDefault"] and acl["VpcId"] == subnet["VpcId"]:
                    name = "aclassoc-" + hashlib.sha1(subnet["SubnetId"].encode()).hexdigest()[:17]
                    acl["Associations"].append({"NetworkAclAssociationId": name, "SubnetId": subnet["SubnetId"]})


_describe_network_acls = ec2._describe_network_acls
_replace_network_acl_association = ec2._replace_network_acl_association


def describe_network_acls_of_subnets(params):
    associate_with_default_acls()
    wanted = ec2._parse_filters(params).get("association.subnet-id")
    if not wanted:
        return _describe_network_acls(params)
    found = [
        name
        for name, acl in ec2._network_acls.items()
        if any(association["SubnetId"] in wanted for association in acl["Associations"])
    ]
    names = {f"NetworkAclId.{place}": [name] for place, name in enumerate(found or ["acl-none"], 1)}
    return _describe_network_acls({**params, **names})


def replace_network_acl_association_of_its_subnet(params):
    name = ec2._p(params, "AssociationId")
    subnet = next(
        (
            association["SubnetId"]
            for acl in ec2._network_acls.values()
            for association in acl["Associations"]
            if association["NetworkAclAssociationId"] == name
        ),
        None,
    )
    answer = _replace_network_acl_association(params)
    target = ec2._network_acls.get(ec2._p(params, "NetworkAclId"))
    if target and subnet:
        target["Associations"][-1]["SubnetId"] = subnet
    return answer


def network_acl_entry_with_ports(entry):
    xml = _network_acl_entry_xml(entry)
    if "From" in entry:
        ports = f"<portRange><from>{entry['From']}</from><to>{entry['To']}</to></portRange>"
        xml = xml.replace("<ruleAction>", f"{ports}<ruleAction>", 1)
    return xml


def keeping_ports(make):
    def wrapped(params):
        answer = make(params)
        acl = ec2._network_acls.get(ec2._p(params, "NetworkAclId"))
        if acl and ec2._p(params, "PortRange.From"):
            acl["Entries"][-1] |= {"From": ec2._p(params, "PortRange.From"), "To": ec2._p(params, "PortRange.To")}
        return answer

    return wrapped


ec2._parse_ip_permissions = permissions_with_prefix_lists
ec2._sg_rule_xml = rule_with_prefix_list
ec2._network_acl_entry_xml = network_acl_entry_with_ports
ec2._ACTION_MAP |= {
    "DescribeNetworkAcls": describe_network_acls_of_subnets,
    "ReplaceNetworkAclAssociation": replace_network_acl_association_of_its_subnet,
    "CreateNetworkAclEntry": keeping_ports(ec2._create_network_acl_entry),
    "ReplaceNetworkAclEntry": keeping_ports(ec2._replace_network_acl_entry),
}

# --- CloudWatch Logs --------------------------------------------------------------------------------------------

_append_log_events = cloudwatch_logs._append_log_events
# CloudWatch takes a point neither older than two weeks nor further ahead than two hours.
_OLDEST, _FURTHEST = 14 * 86_400, 2 * 3600


def is_text(value, longest):
    return isinstance(value, str) and 0 < len(value) <= longest


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def embedded_points(message, now):
    """The points of a log event in the embedded metric format, as CloudWatch's guide specifies it; none of any other, and
    none of one that breaks its rules. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html"""
    if not message.startswith("{") or '"_aws"' not in message:
        return []
    try:
        document = json.loads(message)
    except ValueError:
        return []
    metadata = document.get("_aws")
    if not isinstance(metadata, dict) or not is_number(metadata.get("Timestamp")):
        return []
    at = metadata["Timestamp"] / 1000
    directives = metadata.get("CloudWatchMetrics")
    if not now - _OLDEST <= at <= now + _FURTHEST or not isinstance(directives, list):
        return []
    points = []
    for directive in directives:
        if not isinstance(directive, dict):
            return []
        namespace, sets, metrics = (directive.get(name) for name in ("Namespace", "Dimensions", "Metrics"))
        if not is_text(namespace, 1024) or not isinstance(sets, list) or not isinstance(metrics, list) or len(metrics) > 100:
            return []
        for names in sets:
            if not isinstance(names, list) or len(names) > 30 or not all(
                    is_text(name, 250) and is_text(document.get(name), 1024) for name in names):
                return []
        for metric in metrics:
            if not isinstance(metric, dict) or not is_text(metric.get("Name"), 1024):
                return []
            value = document.get(metric["Name"])
            values = value if isinstance(value, list) else [value]
            if not 0 < len(values) <= 100 or not all(is_number(one) for one in values):
                return []
            for names in sets:
                dimensions = {name: document[name] for name in names}
                points.append((namespace, metric["Name"], dimensions, at, metric.get("Unit") or "None", values))
    return points


def append_log_events_and_count(stream, events):
    _append_log_events(stream, events)
    now = time.time()
    for event in events:
        for namespace, name, dimensions, at, unit, values in embedded_points(event["message"], now):
            for value in values:
                cloudwatch._store_datum(namespace, name, dimensions, at, unit, value, None, None, None)


cloudwatch_logs._append_log_events = append_log_events_and_count

# --- CloudWatch -------------------------------------------------------------------------------------------------

_COMPARISONS = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_alarm_states = threading.Lock()
_alarms_held = {}
_dispatch_alarm_actions = cloudwatch._dispatch_alarm_actions
_set_alarm_state = cloudwatch._set_alarm_state


def statistics_of_periods(alarm, now):
    """The statistic of each evaluation period, the latest first; None where there is no data."""
    dimensions = {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []}
    key = (alarm["Namespace"], alarm["MetricName"], cloudwatch._dims_key(dimensions))
    unit, length = alarm.get("Unit"), alarm["Period"]
    periods = [[] for _ in range(alarm["EvaluationPeriods"])]
    for point in list(cloudwatch._metrics.get(key) or []):
        place = int((now - point["Timestamp"]) // length)
        if 0 <= place < len(periods) and unit in (None, "", point.get("Unit")):
            periods[place].append(point)
    name = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    return [
        cloudwatch._stat_value(cloudwatch._calc_stats(points), name, points) if points else None for points in periods]


def state_of_alarm(alarm, values):
    """The state that these values mean, and why; no state where it stays as it is."""
    compare, words = _COMPARISONS[alarm["ComparisonOperator"]]
    threshold, needed = alarm["Threshold"], alarm.get("DatapointsToAlarm") or len(values)
    treatment = alarm.get("TreatMissingData") or "missing"
    present = [value for value in values if value is not None]
    breaching = [value for value in present if compare(value, threshold)]
    count = len(breaching) + (len(values) - len(present) if treatment == "breaching" else 0)
    if count >= needed:
        return "ALARM", (f"Threshold Crossed: {count} out of the last {len(values)} datapoints {breaching} was {words} the "
                         f"threshold ({threshold}).")
    if present or treatment in ("breaching", "notBreaching"):
        return "OK", (f"Threshold Crossed: {len(values) - count} out of the last {len(values)} datapoints {present} was "
                      f"not {words} the threshold ({threshold}).")
    if treatment == "ignore":
        return None, ""
    return "INSUFFICIENT_DATA", f"Insufficient Data: {len(values)} datapoints were unknown."


def evaluate_alarm(alarm):
    # An alarm on an expression has neither; the release does not evaluate it.
    if not alarm.get("Namespace") or not alarm.get("MetricName") or alarm.get("ComparisonOperator") not in _COMPARISONS:
        return
    with _alarm_states:
        now = time.time()
        if _alarms_held.get(alarm["AlarmArn"], 0) > now:
            return
        state, reason = state_of_alarm(alarm, statistics_of_periods(alarm, now))
        before = alarm["StateValue"]
        if state is None or state == before:
            return
        alarm |= {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": int(now)}
    # Not under the lock: who is told may put a metric, and wait for it.
    cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def dispatch_alarm_actions_and_tell(alarm, before, state, reason):
    statistic = {
        "metric": {
            "namespace": alarm.get("Namespace"), "name": alarm.get("MetricName"),
            "dimensions": {d["Name"]: d["Value"] for d in alarm.get("Dimensions") or []},
        },
        "period": alarm.get("Period"),
        "stat": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
    }
    metrics = [{"id": "m1", "metricStat": statistic, "returnData": True}] if alarm.get("MetricName") else []
    time_of_change = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())
    detail = {
        "alarmName": alarm["AlarmName"],
        "state": {"value": state, "reason": reason, "timestamp": time_of_change},
        "previousState": {"value": before},
        "configuration": {"description": alarm.get("AlarmDescription") or "", "metrics": metrics},
    }
    eventbridge._put_events({"Entries": [{
        "Source": "aws.cloudwatch", "DetailType": "CloudWatch Alarm State Change",
        "Resources": [alarm["AlarmArn"]], "Detail": json.dumps(detail),
    }]})
    _dispatch_alarm_actions(alarm, before, state, reason)


def set_alarm_state_for_a_period(params, cbor_data, is_cbor, is_json=False):
    name = cbor_data.get("AlarmName", "") if is_cbor or is_json else cloudwatch._p(params, "AlarmName")
    alarm = cloudwatch._alarms.get(name)
    if alarm:
        _alarms_held[alarm["AlarmArn"]] = time.time() + alarm["Period"]
    return _set_alarm_state(params, cbor_data, is_cbor, is_json)


def evaluate_alarms_every_second():
    while True:
        time.sleep(1)
        for account, region in {(account, region) for account, region, _ in list(cloudwatch._alarms._data)}:
            with request_scope(account, region):
                cloudwatch._evaluate_all_alarms()


cloudwatch._evaluate_alarm = evaluate_alarm
cloudwatch._dispatch_alarm_actions = dispatch_alarm_actions_and_tell
cloudwatch._set_alarm_state = set_alarm_state_for_a_period

if __name__ == "__main__":
    threading.Thread(target=evaluate_alarms_every_second, daemon=True).start()
    sys.exit(main())
