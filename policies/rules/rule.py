"""What a rule is, and how a row of the table becomes a policy of Pulumi's."""

import fnmatch
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from .reader import Resource, Resources, UnknownValue, resource_of

Findings = Iterator[str]
ResourceCheck = Callable[[Resource], Findings]
StackCheck = Callable[[Resource, "Stack"], Findings]

ADVISORY: Final = EnforcementLevel.ADVISORY
MANDATORY: Final = EnforcementLevel.MANDATORY
LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL

DOCS: Final = "https://docs.aws.amazon.com/msk/latest/developerguide/"

EXEMPTIONS: Final[Mapping[str, Any]] = {
    "type": "array",
    "description": "Resources that need not obey: the name or URN, `*` matches anything, and why.",
    "items": {
        "type": "object",
        "properties": {
            "resource": {"type": "string", "minLength": 1},
            "reason": {"type": "string", "pattern": r"\S"},
        },
        "required": ["resource", "reason"],
        "additionalProperties": False,
    },
    "default": [],
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the table.

    A check yields a message for each thing that is wrong: `<key> is <value>; <what must hold>. <what to do>`. When it
    needs a value that only the update knows, it ends there; the other checks of the rule still run.
    """

    name: str
    types: tuple[str, ...]
    why: str
    checks: tuple[ResourceCheck, ...] = ()
    stack_checks: tuple[StackCheck, ...] = ()
    """Judged at the end on the outputs of all resources, once for each resource of the rule's types."""
    level: EnforcementLevel = MANDATORY
    severity: Severity = HIGH
    url: str
    covers: tuple[str, ...] = ()
    """The rules of other tools that this one does the work of."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the user may configure, as JSON Schema with a default."""

    @property
    def schema(self) -> dict[str, dict[str, Any]]:
        return {name: dict(option) for name, option in {**self.options, "exemptions": EXEMPTIONS}.items()}

    def settings(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configured options, with the defaults of those that are not configured."""
        return {name: config.get(name, option["default"]) for name, option in self.options.items()}

    def judge(self, resource: Resource, stack: "Stack | None" = None) -> list[str]:
        """What is wrong with a resource. What could not be judged yet is in `resource.missing` afterwards."""
        found = [check(resource) for check in self.checks]
        if stack is not None:
            found += [check(resource, stack) for check in self.stack_checks]
        return [f"{finding} See {self.url}" for findings in found for finding in _known(findings)]


def _known(findings: Findings) -> Findings:
    try:
        yield from findings
    except UnknownValue:
        return


def names(pattern: str, name: str, urn: str) -> bool:
    """Whether an exemption's pattern means a resource."""
    return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(urn, pattern)


class Stack(Resources):
    """A stack's resources, and the pack that judges them."""

    def __init__(self, resources: Sequence[PolicyResource], pack: "Pack") -> None:
        super().__init__(resources)
        self.pack = pack


class Pack:
    """The policies of a table, and what the last of them have to know of the others.

    Pulumi tells a policy only its own configuration and one resource. Every rule that is switched on sees at least the
    stack's root resource before the policies on whole stacks run, so these find all of it here. Four workers call the
    policies at once; each entry has one writer, and storing it is a single step: no lock is needed.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.configured: dict[str, Mapping[str, Any]] = {}
        """What each rule was configured with."""
        self.waiting: dict[tuple[str, str], str] = {}
        """Names of the resources that have to wait for the update to be judged, by rule and URN."""

    def policies(self) -> list[Policy]:
        return [self._policy(rule) for rule in self.rules]

    def exemptions(self, rule: Rule) -> Sequence[Mapping[str, str]]:
        """The exemptions from a rule; none while it is switched off."""
        found: Sequence[Mapping[str, str]] = self.configured.get(rule.name, {}).get("exemptions", ())
        return found

    def exempts(self, rule: Rule, resource: Resource) -> bool:
        return any(names(entry["resource"], resource.name, resource.urn) for entry in self.exemptions(rule))

    def _policy(self, rule: Rule) -> Policy:
        row: dict[str, Any] = {
            "name": rule.name,
            "description": rule.why,
            "enforcement_level": rule.level,
            "config_schema": PolicyConfigSchema(rule.schema),
            "severity": rule.severity,
            "tags": list(rule.covers),
            "url": rule.url,
        }
        if rule.stack_checks:
            return StackValidationPolicy(validate=lambda args, report: self._judge_stack(rule, args, report), **row)
        return ResourceValidationPolicy(validate=lambda args, report: self._judge_resource(rule, args, report), **row)

    def _judge_resource(self, rule: Rule, args: ResourceValidationArgs, report: ReportViolation) -> None:
        self.configured[rule.name] = args.get_config()
        if args.resource_type not in rule.types:
            args.not_applicable()
        resource = resource_of(args, rule.settings(args.get_config()))
        if self.exempts(rule, resource):
            return
        found = rule.judge(resource)
        for finding in found:
            report(finding, None)
        self.note(rule, resource)
        if resource.missing and not found:
            # Keeps the rule from counting as passed; `msk-preview-complete` tells the user.
            args.not_applicable(f"{', '.join(resource.missing)}: known during the update only")

    def _judge_stack(self, rule: Rule, args: StackValidationArgs, report: ReportViolation) -> None:
        self.configured[rule.name] = args.get_config()
        stack = Stack(args.resources, self)
        for resource in self.judged(rule, stack):
            for finding in rule.judge(resource, stack):
                report(finding, resource.urn)
            self.note(rule, resource)

    def note(self, rule: Rule, resource: Resource) -> None:
        """Remembers whether a resource has to wait for the update to be judged by a rule."""
        self.waiting.pop((rule.name, resource.urn), None)
        if resource.missing:
            self.waiting[rule.name, resource.urn] = resource.name

    def judged(self, rule: Rule, stack: Stack) -> Iterator[Resource]:
        """The resources of a stack that a rule judges, each with the rule's options and nothing noted as unknown."""
        config = self.configured[rule.name]
        for resource in stack.of(*rule.types):
            if not self.exempts(rule, resource):
                stack.missing.clear()
                yield replace(resource, options=rule.settings(config))
