"""No input makes a rule fail: a violation is never a traceback.

Hypothesis puts values of any shape, unknown ones among them, wherever a rule reads something.
"""

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.rules import RULES
from tests.policies import kit
from tests.policies.spoils import SERVERLESS_INPUTS, baseline

pytestmark = pytest.mark.thorough

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-10, 70000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["*", "", "TLS", "true", "IDENTICAL", "0.0.0.0/0", "::/0", "arn:aws:kafka:us-east-1:1:cluster/a/b"]
    )
    | st.just(kit.UNKNOWN)
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.one_of(
    VALUES,
    st.builds(json.dumps, st.fixed_dictionaries({"Statement": VALUES.filter(lambda v: v != kit.UNKNOWN)})),
    st.builds(
        lambda **statement: json.dumps({"Statement": [statement]}),
        Effect=st.just("Allow"),
        Action=VALUES,
        Resource=VALUES,
        Principal=VALUES,
        Condition=st.dictionaries(st.sampled_from(["StringEquals", "ArnLike"]), VALUES, max_size=2),
    ),
)
TYPES = sorted({typ for rule in RULES for typ in rule.types})
QUICK = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@functools.cache
def whole() -> kit.World:
    world = baseline()
    world.add("aws:msk/serverlessCluster:ServerlessCluster", "small", SERVERLESS_INPUTS)
    return world


def paths(value: Any, prefix: str = "") -> list[str]:
    """Every path in an object, those of containers included."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [p for key, item in entries for p in (f"{prefix}{key}", *paths(item, f"{prefix}{key}."))]


@functools.cache
def places() -> list[tuple[int, str]]:
    """Every property of every resource that some rule is about."""
    return [(n, path) for n, case in enumerate(whole().cases) if case.typ in TYPES for path in paths(case.inputs)]


@QUICK
@given(st.data())
def test_any_value_in_any_place_is_judged_without_an_error(data: st.DataObject) -> None:
    world = copy.deepcopy(whole())
    # One place in a resource: an inner one would be gone with its container.
    chosen = st.lists(st.sampled_from(places()), min_size=1, max_size=6, unique_by=lambda place: place[0])
    for number, path in data.draw(chosen):
        value = data.draw(DOCUMENTS if path in ("policy", "assumeRolePolicy", "configs") else VALUES)
        world.cases[number].set(path, value)
    messages = [violation.message for violation in kit.judge(world)]
    assert all(isinstance(message, str) for message in messages)


@QUICK
@given(
    typ=st.sampled_from(TYPES),
    inputs=st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
    name=st.text(max_size=5),
)
def test_any_resource_of_a_known_type_is_judged_without_an_error(typ: str, inputs: dict[str, Any], name: str) -> None:
    world = kit.World([copy.deepcopy(whole().cases[0])], "us-east-2")
    world.add(typ, name, inputs)
    kit.judge(world)
    kit.judge(world, preview=True)


@QUICK
@given(st.sampled_from(places()))
def test_any_property_may_be_unknown(place: tuple[int, str]) -> None:
    world = copy.deepcopy(whole())
    world.cases[place[0]].set(place[1], kit.UNKNOWN)
    mandatory = [v for v in kit.judge(world) if v.level == "mandatory" and v.resource != "small"]
    # What is unknown may have to wait; nothing is wrong for its sake.
    assert mandatory == []
