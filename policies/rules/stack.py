"""Checks of a stack as a whole, and of how the pack itself is used."""

from typing import Final

from .reader import Resource
from .rule import Findings, Stack, names
from .tokens import REPLICATOR

HOSTS: Final = {
    "primary-to-secondary": ("secondary",),
    "bidirectional": ("primary", "secondary"),
    "secondary-to-primary": ("primary",),
}
"""For each direction, the roles of the stacks that host a Replicator: it lives where its target is."""


def direction_is_what_is_there(root: Resource, stack: Stack) -> Findings:
    """Judges stacks that export `direction` and `role`, as this project's do; others have nothing to compare with."""
    direction, role = root.text("direction"), root.text("role")
    if direction not in HOSTS or not role:
        return
    there, due = [r.name for r in stack.of(REPLICATOR)], role in HOSTS[direction]
    if due and not there:
        yield (
            f"direction is {direction!r} and this stack is the {role}; it must host a Replicator but has none. Declare "
            "it, or change direction."
        )
    if there and not due:
        yield (
            f"direction is {direction!r} and this stack is the {role}; it must host no Replicator but has "
            f"{', '.join(there)}. Change direction."
        )


def exemptions_mean_something(root: Resource, stack: Stack) -> Findings:
    for rule in stack.pack.rules:
        for entry in stack.pack.exemptions(rule):
            if not any(
                names(entry["resource"], r.name, r.urn) for r in stack.resources if r.resource_type in rule.types
            ):
                yield (
                    f"an exemption of {rule.name} is for {entry['resource']!r}; no resource that the rule judges has "
                    "that name or URN. Remove the exemption, or correct the name."
                )


def options_are_known(root: Resource, stack: Stack) -> Findings:
    for rule in stack.pack.rules:
        for option in stack.pack.configured.get(rule.name, ()):
            if option not in rule.schema:
                yield (
                    f"{rule.name} is configured with {option!r}; it has only {', '.join(rule.schema)}. Correct or "
                    "remove it."
                )


def everything_is_judged(root: Resource, stack: Stack) -> Findings:
    waiting: dict[str, list[str]] = {}
    for (rule, _), resource in sorted(stack.pack.waiting.items()):
        waiting.setdefault(resource, []).append(rule)
    if waiting:
        listed = "".join(f"- {resource}: {', '.join(rules)}\n" for resource, rules in sorted(waiting.items()))
        yield (
            f"{len(stack.pack.waiting)} checks wait for values that only the update knows; they must not be taken for "
            f"passed:\n{listed}They run during the update, those of one resource before it is touched, those of the "
            "stack at its end."
        )
