"""Topic and group patterns: what is refused, and that the role's globs cover every name that a pattern matches.

What no unit test can prove: that Java, which the Replicator speaks, reads a pattern as Python does. What only Java
knows (`\\p{Alpha}`) is refused.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.patterns import iam_globs, problem_with


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [("*", ".*"), ("orders-*", "orders-.*"), ("orders*", "orders.*"), ("*-orders", ".*-orders"), ("a_*b", "a_.*b")],
)
def test_globs_are_recognized_and_the_regular_expression_is_named(pattern: str, fixed: str) -> None:
    assert problem_with(pattern, 249) == f"looks like a glob; the Replicator reads regular expressions. Write {fixed!r}"
    assert problem_with(fixed, 249) is None


@pytest.mark.parametrize(
    "pattern",
    [
        ".*",
        "orders-.*",
        r"orders\..*",
        r"v\d*",
        r"(a|b)*",
        "[a-z]*",
        r"orders-\w*",
        "^orders$",
        "(?!__).*",
        "a|b",
        "a{2}",
    ],
)
def test_regular_expressions_are_accepted(pattern: str) -> None:
    assert problem_with(pattern, 249) is None


def test_other_mistakes_are_named() -> None:
    assert problem_with("", 249) == "is empty; every pattern must match something. Write '.*' for everything"
    assert "has 250 characters; at most 249 are allowed." in str(problem_with("a" * 250, 249))
    assert problem_with("a" * 249, 249) is None
    assert "is no regular expression (unterminated character set at position 0);" in str(problem_with("[", 249))
    assert "is no regular expression" in str(problem_with("a{999999999999}", 249))


@pytest.mark.parametrize(
    ("pattern", "globs"),
    [
        (".*", ["*"]),
        ("orders", ["orders"]),
        ("^orders-.*$", ["orders-*"]),
        (r"orders\..+", ["orders.?*"]),
        ("orders.v.", ["orders?v?"]),
        ("orders|payments-.*", ["orders", "payments-*"]),
        ("orders-(eu|us)", ["orders-*"]),
        ("orders-[|]x", ["orders-*"]),
        (r"a\|b", ["a|b"]),
        ("ab?c", ["a*"]),
        ("ab*c", ["a*"]),
        ("a{2}", ["*"]),
        ("(?!__).*", ["*"]),
        (r"v\d+", ["v*"]),
        ("a|a", ["a"]),
        (".*.*", ["*"]),
        ("größe-.*", ["gr*"]),
    ],
)
def test_globs_are_as_narrow_as_is_plain_to_see(pattern: str, globs: list[str]) -> None:
    assert iam_globs(pattern) == globs


NAME_CHARACTERS = "abz09._-"


def regular_expressions() -> st.SearchStrategy[str]:
    """Regular expressions of the kinds that people write for topics, and some that they do not."""
    plain = st.sampled_from([*"abz", "-", "_", r"\.", "."])
    others = st.sampled_from([r"\d", r"\w", "[abz]", "[^a]", "[a|z]", r"[\]a]", r"\|", r"\*", ".*", ".+", ".*?"])
    quantified = st.tuples(plain, st.sampled_from(["?", "{2}", "{0,2}", "{0}"])).map("".join)
    atoms = st.one_of(plain, plain, quantified, others)
    sequences = st.lists(atoms, max_size=4).map("".join)
    choices = st.lists(sequences, min_size=1, max_size=3).map("|".join)
    groups = st.tuples(
        sequences, st.sampled_from(["(", "(?:"]), choices, st.sampled_from([")", ")?", ")*", ")+"]), sequences
    )
    whole = st.one_of(choices, groups.map("".join), st.tuples(choices, groups.map("".join)).map("|".join))
    return st.tuples(st.sampled_from(["", "^"]), whole, st.sampled_from(["", "$"])).map("".join)


def matches(glob: str, name: str) -> bool:
    """Whether an IAM resource pattern covers a name: `*` is any characters, `?` is one, the rest stands for itself."""
    regex = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob)
    return re.fullmatch(regex, name, re.DOTALL) is not None


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_the_globs_cover_every_name_that_the_pattern_matches(data: st.DataObject) -> None:
    pattern = data.draw(regular_expressions(), label="pattern")
    name = data.draw(
        st.from_regex(re.compile(rf"\A(?:{pattern})\Z", re.ASCII | re.DOTALL), alphabet=NAME_CHARACTERS + "|*]"),
        label="name",
    )
    assert any(matches(glob, name) for glob in iam_globs(pattern))


@given(st.text(alphabet=NAME_CHARACTERS, min_size=1, max_size=20))
@settings(max_examples=80, deadline=None)
def test_a_plain_name_is_covered_by_itself_alone(name: str) -> None:
    escaped = name.replace(".", r"\.")
    assert problem_with(escaped, 249) is None
    assert iam_globs(escaped) == [name]
