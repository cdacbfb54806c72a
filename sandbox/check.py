"""`Check`: are the inputs of the right shape, and what does the provider add to them?

Stricter than the real bridge, which lets some unknown and mistyped properties through with a warning: whatever a
program does not mean must not pass a test.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.rules import AutoName, Rules
from sandbox.schema import Property, Schema, Type
from sandbox.wire import UNKNOWN, Props, contains_unknown

DEFAULTS = "__defaults"
"""Key under which the bridge keeps the names of the properties that it filled in, in every object."""

_JSON_KINDS = {str: "string", bool: "boolean", int: "number", float: "number", list: "list", dict: "object"}
_EXPECTED = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "a boolean",
    "list": "a list",
    "map": "a map",
    "object": "an object",
    "document": "a JSON string or an object",
}


@dataclass(frozen=True)
class Failure:
    """One thing wrong with the inputs: where, and why."""

    property: str
    reason: str


class NameTooLong(Exception):
    """The logical name leaves no room for the automatic name's digits."""

    def __init__(self, property_: str, reason: str) -> None:
        super().__init__(reason)
        self.property = property_


@dataclass(frozen=True)
class ProviderConfig:
    """What a provider resource was configured with, as far as it reaches resources."""

    region: str
    default_tags: Mapping[str, str] = field(default_factory=dict)


def shape_failures(properties: Mapping[str, Property], props: Props, path: str = "") -> Iterator[Failure]:
    """Unknown, missing and mistyped properties, with their paths."""
    for name, value in props.items():
        here = join(path, name)
        declared = properties.get(name)
        if declared is None:
            if name != DEFAULTS:
                yield Failure(here, f"{here} is not a property; {_suggestion(name, properties)}")
        else:
            yield from _type_failures(declared.type, value, here)
    for name, declared in properties.items():
        if declared.required and name not in props:
            here = join(path, name)
            yield Failure(here, f"{here} is missing; it is required")


def _suggestion(name: str, properties: Mapping[str, Property]) -> str:
    close = difflib.get_close_matches(name, properties, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"the properties here are {', '.join(sorted(properties))}"


def _type_failures(expected: Type, value: Any, path: str) -> Iterator[Failure]:
    if value == UNKNOWN:
        return
    if not _fits(expected, value):
        found = _JSON_KINDS.get(type(value), type(value).__name__)
        shown = "" if isinstance(value, dict | list) else f" {json.dumps(value)}"
        yield Failure(path, f"{path} is the {found}{shown}; it must be {_EXPECTED[expected.kind]}")
    elif expected.kind == "object":
        yield from shape_failures(expected.fields, value, path)
    elif expected.kind == "list" and expected.element:
        for index, item in enumerate(value):
            yield from _type_failures(expected.element, item, f"{path}[{index}]")
    elif expected.kind == "map" and expected.element:
        for key, item in value.items():
            yield from _type_failures(expected.element, item, join(path, key))


def _fits(expected: Type, value: Any) -> bool:
    match expected.kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "document":
            return isinstance(value, str | dict)
        case _:
            return isinstance(value, dict)


def fill_in(
    schema: Schema, rules: Rules, news: Props, olds: Props, logical_name: str, seed: bytes, config: ProviderConfig
) -> Props:
    """The inputs with what the provider adds: documents as text, Region, all tags, defaults, automatic name.

    Raises NameTooLong.
    """
    inputs = _fill_in_object(schema.inputs, rules, news, "")
    if schema.tagged:
        inputs["tagsAll"] = _all_tags(config, inputs.get("tags", {}))
    if schema.regional:
        inputs.setdefault("region", config.region)
    if rules.autoname and rules.autoname.property not in inputs:
        inputs[rules.autoname.property] = _automatic_name(rules.autoname, olds, logical_name, seed)
        inputs[DEFAULTS] = sorted([*inputs[DEFAULTS], rules.autoname.property])
    return inputs


def _all_tags(config: ProviderConfig, tags: Any) -> Any:
    return UNKNOWN if contains_unknown(tags) else {**config.default_tags, **tags}


def _automatic_name(autoname: AutoName, olds: Props, logical_name: str, seed: bytes) -> str:
    """The name chosen before, as long as it was chosen by us; else a new one.

    The engine sends no old inputs for the new half of a replacement, so that gets a name of its own.
    """
    if autoname.property in olds.get(DEFAULTS, []):
        old: str = olds[autoname.property]
        return old
    stem = f"{logical_name}-"
    if len(stem) + 7 > autoname.maximum:
        raise NameTooLong(
            autoname.property,
            f"name '{stem}' plus 7 random chars is longer than maximum length {autoname.maximum}; "
            f"set {autoname.property} or shorten the logical name",
        )
    digits = hashlib.sha256(seed + stem.encode()).hexdigest()[:7]
    name = f"{stem}{digits}"
    return name if name.startswith(autoname.prefix) else f"{autoname.prefix}{name}"


def _fill_in_object(properties: Mapping[str, Property], rules: Rules, props: Props, path: str) -> Props:
    filled: Props = {}
    for name, value in props.items():
        if name in properties:
            filled[name] = _fill_in_value(properties[name].type, rules, value, join(path, name))
    defaulted = []
    for name in properties:
        here = join(path, name)
        if name not in filled and here in rules.defaults:
            filled[name] = rules.defaults[here]
            defaulted.append(name)
    filled[DEFAULTS] = sorted(defaulted)
    return filled


def _fill_in_value(declared: Type, rules: Rules, value: Any, path: str) -> Any:
    if declared.kind == "document" and isinstance(value, dict):
        return UNKNOWN if contains_unknown(value) else json.dumps(value, separators=(",", ":"), sort_keys=True)
    if declared.kind == "object" and isinstance(value, dict):
        return _fill_in_object(declared.fields, rules, value, path)
    if declared.kind == "list" and declared.element and isinstance(value, list):
        return [_fill_in_value(declared.element, rules, item, f"{path}[]") for item in value]
    return value


def plain(value: Any) -> Any:
    """The inputs as the program meant them: without the bridge's bookkeeping."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key != DEFAULTS}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


def join(path: str, name: str) -> str:
    """The path of a property inside another, in the engine's own notation."""
    if not name.replace("_", "a").isalnum():
        return f'{path}["{name}"]'
    return f"{path}.{name}" if path else name
