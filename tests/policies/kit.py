"""Stacks to judge, and a judge that works as the engine does: the policy SDK's own server, without the network.

A `World` is what the program registered under mocks, changed as a test pleases. `judge` sends it through the
(de)serialisation, the proxies and the levels of `pulumi_policy`; with `preview` every value that AWS would make up is
unknown, as in the first preview of a stack. What the provider's Check adds (Region, tags of all) is added here.
"""

import ast
import contextlib
import copy
import functools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import proto
from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyCustomTimeouts,
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    StackValidationArgs,
)
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.policy import _NotApplicableError, _PolicyAnalyzerServicer
from pulumi_policy.proxy import unknown_checking_proxy

from policies.rules import RULES, Pack
from policies.rules.tokens import SECURITY_GROUP, STACK
from tests import recording

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What stands on the wire for a text that is not known before the update."""

LEVELS: Final = {
    "advisory": proto.ADVISORY,
    "mandatory": proto.MANDATORY,
    "remediate": proto.REMEDIATE,
    "disabled": proto.DISABLED,
}


@dataclass
class Case:
    """One resource of a stack, to be spoiled. `inputs` are those after the provider's Check."""

    typ: str
    name: str
    urn: str
    inputs: dict[str, Any]
    computed: dict[str, Any] = field(default_factory=dict)
    protect: bool = False
    timeouts: dict[str, float] = field(default_factory=dict)
    """In seconds."""
    parent: str = ""

    def set(self, path: str, value: Any) -> None:
        """Puts a value at a dotted path; numbers step into lists."""
        holder, key = self._at(path)
        holder[key] = value

    def drop(self, path: str) -> None:
        holder, key = self._at(path)
        del holder[key]

    def get(self, path: str) -> Any:
        holder, key = self._at(path)
        return holder[key]

    def _at(self, path: str) -> tuple[Any, Any]:
        holder: Any = self.inputs
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in steps:
            if isinstance(holder, dict):
                holder.setdefault(step, {})
            holder = holder[step]
        return holder, last


@dataclass
class World:
    """A stack's resources, the root first."""

    cases: list[Case]
    region: str

    def of(self, typ: str) -> list[Case]:
        return [case for case in self.cases if case.typ == typ]

    def one(self, typ: str, name: str | None = None) -> Case:
        found = [case for case in self.of(typ) if name in (None, case.name)]
        assert len(found) == 1, f"{len(found)} resources {typ} {name or ''}: {[case.name for case in self.of(typ)]}"
        return found[0]

    def add(self, typ: str, name: str, inputs: dict[str, Any], **more: Any) -> Case:
        urn = f"urn:pulumi:test::msk-dr::{typ}::{name}"
        case = Case(typ, name, urn, {"region": self.region, **copy.deepcopy(inputs)}, parent=self.cases[0].urn, **more)
        self.cases.append(case)
        return case

    def remove(self, case: Case) -> None:
        self.cases.remove(case)


@dataclass(frozen=True)
class Violation:
    rule: str
    level: str
    resource: str
    """The resource's logical name."""
    urn: str
    message: str


def world(stack: str, direction: str, **config: Any) -> World:
    """What the program registers for a stack, as a fresh copy."""
    return copy.deepcopy(_world(stack, direction, tuple(sorted((k, repr(v)) for k, v in config.items()))))


@functools.cache
def _world(stack: str, direction: str, config: tuple[tuple[str, str], ...]) -> World:
    run = recording.run_program(stack, direction, **{key: ast.literal_eval(value) for key, value in config})
    root = f"urn:pulumi:{stack}::{recording.PROJECT}::{STACK}::{recording.PROJECT}-{stack}"
    cases = [Case(STACK, f"{recording.PROJECT}-{stack}", root, {}, dict(run.exports))]
    cases += [_case(resource, run.region) for resource in run.resources]
    return World(cases, run.region)


def _case(resource: recording.Resource, region: str) -> Case:
    inputs, computed = dict(resource.inputs), {}
    if resource.typ.startswith("aws:"):
        made = recording.Made(name=resource.name, inputs=inputs, region=region)
        computed = {"id": resource.id, **recording.COMPUTED[resource.typ](made)}
        if resource.typ == SECURITY_GROUP:
            # The provider reads what rules of their own have put in.
            computed |= {"ingress": [], "egress": []}
        if not resource.typ.startswith("aws:iam/"):
            inputs["region"] = region
        if "tags" in inputs:
            inputs["tagsAll"] = dict(inputs["tags"])
    return Case(
        resource.typ,
        resource.name,
        resource.urn,
        inputs,
        computed,
        resource.protect,
        {phase: _seconds(text) for phase, text in resource.timeouts.items()},
        resource.parent,
    )


def _seconds(text: str) -> float:
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def judge(world: World, config: Mapping[str, Any] | None = None, *, preview: bool = False) -> list[Violation]:
    """What the pack says of a stack, first of each resource, then of the whole.

    A short cut through the SDK's server: the same policies are called with the same arguments, but each resource is
    read once and not once for each policy. `served` goes the whole way.
    """
    pack, hidden = Pack(RULES), Preview(world) if preview else None
    policies, given = pack.policies(), configured(config)
    cases = world.cases
    by_urn = {case.urn: resource for case, resource in zip(cases, resources(world, hidden), strict=True)}
    found: list[Violation] = []

    def run(policy: Policy, args: Any, urn: str) -> None:
        def report(message: str, other: str | None = None) -> None:
            resource = other or urn
            text = f"{policy.description}\n{message}"
            found.append(Violation(policy.name, given[policy.name][0], by_urn[resource].name, resource, text))

        with contextlib.suppress(_NotApplicableError):
            policy.validate(args, report)  # type: ignore[attr-defined]

    for number, case in enumerate(cases):
        inputs = _read(hidden.hide(case.inputs) if hidden else case.inputs)
        at = by_urn[case.urn]
        for rule, policy in zip(RULES, policies, strict=True):
            level, options = given[rule.name]
            # Policies about other types do nothing but note their configuration, which once is enough for.
            if rule.checks and level != "disabled" and (number == 0 or case.typ in rule.types):
                args = ResourceValidationArgs(case.typ, inputs, case.urn, case.name, at.opts, at.provider, options)
                run(policy, args, case.urn)
    for rule, policy in zip(RULES, policies, strict=True):
        level, options = given[rule.name]
        if rule.stack_checks and level != "disabled":
            run(policy, StackValidationArgs(list(by_urn.values()), options), cases[0].urn)
    return found


def configured(config: Mapping[str, Any] | None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Each rule's level and options, as the engine works them out."""
    out = {}
    for rule in RULES:
        given = (config or {}).get(rule.name, {})
        given = {"enforcementLevel": given} if isinstance(given, str) else dict(given)
        level = given.pop("enforcementLevel", rule.level.value)
        out[rule.name] = (level, {**{name: option["default"] for name, option in rule.schema.items()}, **given})
    return out


def served(world: World, config: Mapping[str, Any] | None = None, *, preview: bool = False) -> list[Violation]:
    """What the pack says of a stack by way of the SDK's server, which is what the engine talks to.

    `_PolicyAnalyzerServicer` is private to the SDK; nothing else drives policies without a process.
    """
    server, hidden = server_for(config), Preview(world) if preview else None
    named = {case.urn: case.name for case in world.cases}
    found = []
    for request in resource_requests(world, hidden):
        found += [_violation(d, request.urn, named) for d in server.Analyze(request, None).diagnostics]
    return found + [
        _violation(d, d.urn, named) for d in server.AnalyzeStack(stack_request(world, hidden), None).diagnostics
    ]


def server_for(config: Mapping[str, Any] | None = None) -> Any:
    server = _PolicyAnalyzerServicer("msk-dr", "0.0.0", Pack(RULES).policies(), EnforcementLevel.MANDATORY)
    request = proto.ConfigureAnalyzerRequest()
    for name, (level, options) in configured(config).items():
        request.policyConfig[name].enforcementLevel = LEVELS[level]
        request.policyConfig[name].properties.update(options)
    server.Configure(request, None)  # type: ignore[no-untyped-call]
    return server


def resource_requests(world: World, preview: "Preview | None" = None) -> Iterator[proto.AnalyzeRequest]:
    for case in world.cases:
        yield proto.AnalyzeRequest(
            type=case.typ,
            name=case.name,
            urn=case.urn,
            properties=_struct(preview.hide(case.inputs) if preview else case.inputs),
            options=_options(case),
            provider=_provider(world.region) if case.typ.startswith("aws:") else None,
        )


def stack_request(world: World, preview: "Preview | None" = None) -> proto.AnalyzeStackRequest:
    sources = _sources(world)
    resources = [
        proto.AnalyzerResource(
            type=case.typ,
            name=case.name,
            urn=case.urn,
            parent=case.parent,
            properties=_struct(_outputs(case, preview)),
            options=_options(case),
            provider=_provider(world.region) if case.typ.startswith("aws:") else None,
            propertyDependencies={
                key: proto.AnalyzerPropertyDependencies(urns=urns) for key, urns in sources[case.urn].items()
            },
        )
        for case in world.cases
    ]
    return proto.AnalyzeStackRequest(resources=resources)


class Preview:
    """Hides what AWS makes up: texts that hold an id or ARN of a resource of the stack itself."""

    def __init__(self, world: World) -> None:
        self.tokens = [token for tokens in made_up(world).values() for token in tokens]

    def hide(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.hide(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.hide(item) for item in value]
        return UNKNOWN if isinstance(value, str) and any(token in value for token in self.tokens) else value


def made_up(world: World) -> dict[str, set[str]]:
    """For each URN the ids and ARNs that AWS gave the resource, which tell where a value comes from."""
    return {
        case.urn: {case.computed[key] for key in ("id", "arn") if case.computed.get(key)}
        - {value for value in case.inputs.values() if isinstance(value, str)}
        for case in world.cases
        if case.typ.startswith("aws:")
    }


def _sources(world: World) -> dict[str, dict[str, list[str]]]:
    """For each URN the URNs that each of its properties was computed from."""
    owner = {token: urn for urn, tokens in made_up(world).items() for token in tokens}
    known = "|".join(map(re.escape, sorted(owner, key=len, reverse=True))) or "(?!)"
    return {
        case.urn: {
            key: list(dict.fromkeys(owner[token] for token in _found(known, json.dumps(value))))
            for key, value in case.inputs.items()
        }
        for case in world.cases
    }


@functools.lru_cache(maxsize=10_000)
def _found(pattern: str, text: str) -> list[str]:
    return re.findall(pattern, text)


def _outputs(case: Case, preview: "Preview | None") -> dict[str, Any]:
    if preview and case.typ.startswith("aws:"):
        return {**dict.fromkeys(case.computed, UNKNOWN), **preview.hide(case.inputs)}
    outputs = case.computed | case.inputs
    return preview.hide(outputs) if preview else outputs


_proxies: dict[str, Any] = {}


def _read(values: Mapping[str, Any]) -> Any:
    """Properties as the SDK shows them to a policy: its proxies over what came off the wire."""
    text = json.dumps(values, sort_keys=True)
    if text not in _proxies:
        _proxies[text] = unknown_checking_proxy(deserialize_properties(json_format.MessageToDict(_struct(values))))
    return _proxies[text]


def resources(world: World, preview: "Preview | None", *, inputs: bool = False) -> list[PolicyResource]:
    """A stack's resources with their outputs, as policies on whole stacks see them; with their inputs for once."""
    provider = PolicyProviderResource("pulumi:providers:aws", _read({"region": world.region}), "", "default")
    out = []
    for case in world.cases:
        times = PolicyCustomTimeouts(*(case.timeouts.get(phase, 0) for phase in ("create", "update", "delete")))
        options = PolicyResourceOptions(case.protect, [], None, [], times, [], case.parent)
        by = provider if case.typ.startswith("aws:") else None
        props = _read((preview.hide(case.inputs) if preview else case.inputs) if inputs else _outputs(case, preview))
        out.append(PolicyResource(case.typ, props, case.urn, case.name, options, by, None, [], {}))
    by_urn = {resource.urn: resource for resource in out}
    for urn, sources in _sources(world).items():
        by_urn[urn].property_dependencies = {key: [by_urn[u] for u in urns] for key, urns in sources.items() if urns}
    return out


def _struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def _options(case: Case) -> proto.AnalyzerResourceOptions:
    timeouts = proto.AnalyzerResourceOptions.CustomTimeouts(**case.timeouts) if case.timeouts else None
    return proto.AnalyzerResourceOptions(protect=case.protect, parent=case.parent, customTimeouts=timeouts)


def _provider(region: str) -> proto.AnalyzerProviderResource:
    urn = "urn:pulumi:test::msk-dr::pulumi:providers:aws::default"
    return proto.AnalyzerProviderResource(
        type="pulumi:providers:aws", name="default", urn=urn, properties=_struct({"region": region})
    )


def _violation(diagnostic: Any, urn: str, named: Mapping[str, str]) -> Violation:
    level = proto.EnforcementLevel.Name(diagnostic.enforcementLevel).lower()
    return Violation(diagnostic.policyName, level, named.get(urn, urn), urn, diagnostic.message)
