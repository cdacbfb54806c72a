"""`Diff`: what changes between the state and the checked inputs, and what such a change costs.

The rules are those of Terraform's SDK, on which the real provider stands: state is compared with configuration; a zero
value equals no value; an unknown value is a change; a nested property is replaced by its own rule only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from sandbox.check import join
from sandbox.rules import Rules
from sandbox.schema import Property, Schema, Type
from sandbox.wire import UNKNOWN, Props

_TAGS_ALL = Property(Type("map", Type("string")), required=False)
_NOTHING = (None, "", 0, False)


@dataclass(frozen=True)
class Change:
    """One property that differs. `rule` is the path without indexes, under which the tables know it."""

    path: str
    rule: str
    kind: Literal["add", "delete", "update"]
    replaces: bool = False


def changes(
    schema: Schema, rules: Rules, state: Props, inputs: Props, replacing: frozenset[str] = frozenset()
) -> list[Change]:
    """Every difference between `state` and `inputs`; `replacing` are paths that force a replacement this time only."""
    forced = rules.replace | replacing | ({"region"} if schema.regional else frozenset())
    found = _object_changes(_input_properties(schema), rules, state, inputs, "", "")
    marked = [replace(change, replaces=change.rule in forced) for change in found]
    return [change for change in marked if change.replaces or not _inside_another(change, marked)]


def _inside_another(change: Change, others: list[Change]) -> bool:
    return any(change.rule.startswith(f"{other.rule}.") and change.path.startswith(other.path) for other in others)


def merged(schema: Schema, rules: Rules, state: Props, inputs: Props) -> Props:
    """The state as it will be when the inputs are applied: inputs win, and what they leave to the cloud stays."""
    properties = _input_properties(schema)
    kept = {name: value for name, value in state.items() if name not in properties}
    return {**kept, **_merged_object(properties, rules, state, inputs, "")}


def foreseen(schema: Schema, rules: Rules, inputs: Props) -> Props:
    """The outputs of a resource that is about to be created: inputs, and unknown for what the cloud will set."""
    outputs = _foreseen_object(_input_properties(schema), rules, inputs, "")
    return {**dict.fromkeys(schema.outputs - outputs.keys(), UNKNOWN), **outputs}


def is_zero(value: Any) -> bool:
    """Whether a value says nothing to Terraform: empty, zero, false, or made of such values only."""
    if isinstance(value, dict):
        return all(is_zero(inner) for inner in value.values())
    if isinstance(value, list):
        return not value
    return value in _NOTHING


def _input_properties(schema: Schema) -> Mapping[str, Property]:
    return {**schema.inputs, "tagsAll": _TAGS_ALL} if schema.tagged else schema.inputs


def _object_changes(
    properties: Mapping[str, Property], rules: Rules, old: Props, new: Props, path: str, rule: str
) -> Iterator[Change]:
    for name, declared in properties.items():
        if name in old or name in new:
            yield from _changes(
                declared.type, rules, old.get(name), new.get(name), join(path, name), f"{rule}.{name}" if rule else name
            )


def _changes(declared: Type, rules: Rules, old: Any, new: Any, path: str, rule: str) -> Iterator[Change]:
    if old == new:
        return
    if new == UNKNOWN:
        yield from _whole(declared, rules, old, new, path, rule)
    elif new is None:
        if not is_zero(old) and not rules.is_kept(rule):
            yield from _whole(declared, rules, old, new, path, rule)
    elif old is None:
        if not is_zero(new):
            yield from _whole(declared, rules, old, new, path, rule)
    elif declared.kind == "object":
        yield from _object_changes(declared.fields, rules, old, new, path, rule)
    elif declared.kind == "map" and declared.element:
        for key in sorted({*old, *new}):
            yield from _changes(declared.element, rules, old.get(key), new.get(key), join(path, key), f"{rule}.{key}")
    elif declared.kind == "list":
        yield from _list_changes(declared, rules, old, new, path, rule)
    elif not _same_document(rules, rule, old, new):
        yield Change(path, rule, "update")


def _list_changes(
    declared: Type, rules: Rules, old: list[Any], new: list[Any], path: str, rule: str
) -> Iterator[Change]:
    """Scalars change under the list's own rule, objects under the rules of their fields."""
    element = declared.element or Type("string")
    inner = f"{rule}[]" if element.kind in ("object", "map") else rule
    if rule in rules.sets:
        old, new = _without_common(old, new)
    for index in range(max(len(old), len(new))):
        here = f"{path}[{index}]"
        if index >= len(new):
            yield Change(here, rule, "delete")
        elif index >= len(old):
            yield Change(here, rule, "add")
        else:
            yield from _changes(element, rules, old[index], new[index], here, inner)


def _without_common(old: list[Any], new: list[Any]) -> tuple[list[Any], list[Any]]:
    remaining = list(new)
    gone = []
    for item in old:
        if item in remaining:
            remaining.remove(item)
        else:
            gone.append(item)
    return gone, remaining


def _whole(declared: Type, rules: Rules, old: Any, new: Any, path: str, rule: str) -> Iterator[Change]:
    """A value that appears, disappears or is not known yet: a change of its own, and of every field that it sets."""
    kind: Literal["add", "delete", "update"] = "add" if old is None else "delete" if new is None else "update"
    yield Change(path, rule, kind)
    value = old if new is None or new == UNKNOWN else new
    if declared.kind == "object" and isinstance(value, dict):
        for name, inner in value.items():
            if name in declared.fields and not is_zero(inner):
                yield from _whole(
                    declared.fields[name].type,
                    rules,
                    None if old is None else inner,
                    None if new is None else inner,
                    join(path, name),
                    f"{rule}.{name}",
                )


def _same_document(rules: Rules, rule: str, old: Any, new: Any) -> bool:
    if rule not in rules.documents or not isinstance(old, str) or not isinstance(new, str):
        return False
    try:
        return bool(json.loads(old) == json.loads(new))
    except ValueError:
        return False


def _merged_object(properties: Mapping[str, Property], rules: Rules, old: Props, new: Props, path: str) -> Props:
    result = {}
    for name, declared in properties.items():
        here = f"{path}.{name}" if path else name
        if name in new:
            result[name] = _merged_value(declared.type, rules, old.get(name), new[name], here)
        elif name in old and rules.is_kept(here):
            result[name] = old[name]
    return result


def _merged_value(declared: Type, rules: Rules, old: Any, new: Any, path: str) -> Any:
    if declared.kind == "object" and isinstance(old, dict) and isinstance(new, dict):
        return _merged_object(declared.fields, rules, old, new, path)
    if declared.kind == "list" and declared.element and isinstance(old, list) and isinstance(new, list):
        if path in rules.sets:
            return old if _without_common(old, new) == ([], []) else new
        pairs = [(old[index] if index < len(old) else None, item) for index, item in enumerate(new)]
        return [_merged_value(declared.element, rules, before, item, f"{path}[]") for before, item in pairs]
    if isinstance(old, str) and isinstance(new, str) and _same_document(rules, path, old, new):
        return old
    return new


def _foreseen_object(properties: Mapping[str, Property], rules: Rules, new: Props, path: str) -> Props:
    result = {}
    for name, declared in properties.items():
        here = f"{path}.{name}" if path else name
        if name in new:
            result[name] = _foreseen_value(declared.type, rules, new[name], here)
        elif here in rules.computed:
            result[name] = UNKNOWN
    return result


def _foreseen_value(declared: Type, rules: Rules, new: Any, path: str) -> Any:
    if declared.kind == "object" and isinstance(new, dict):
        return _foreseen_object(declared.fields, rules, new, path)
    if declared.kind == "list" and declared.element and isinstance(new, list):
        return [_foreseen_value(declared.element, rules, item, f"{path}[]") for item in new]
    return new
