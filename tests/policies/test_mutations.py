"""Every condition of every rule is noticed by a test: turned around, or with a finding taken out, some stack of
`spoils` is judged otherwise than it should be.

A mutant is one function of the rules with one condition negated or one `yield` removed. Functions are changed in place
(`__code__`), so that the table and every caller see the mutant.
"""

import ast
import copy
import functools
import importlib
import inspect
import itertools
import types
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from policies.rules import RULES, Pack, Rule
from policies.rules.reader import Resource
from policies.rules.rule import Stack
from tests.policies import kit
from tests.policies.spoils import ALLOWANCES, SPOILS, Allowance, Spoil, baseline
from tests.recording import DIRECTIONS, STACKS

pytestmark = pytest.mark.thorough

# Functions whose results are words of messages, which test_rules.py looks at.
WORDS = {"shown"}

MODULES = ("access", "authentication", "cluster", "hosting", "iam", "network", "parts", "replicator", "stack")


@dataclass(frozen=True)
class Mutant:
    module: str
    function: str
    position: int
    """Which of the function's places to mutate, in the order of the source."""
    what: str

    def __str__(self) -> str:
        return f"{self.module}.{self.function}: {self.what}"


class Places(ast.NodeTransformer):
    """Finds the places of a function that can be mutated, and mutates the one at `position`."""

    def __init__(self, position: int | None = None) -> None:
        self.position = position
        self.found: list[str] = []

    def negated(self, test: ast.expr) -> ast.expr:
        self.found.append(f"line {test.lineno}, {ast.unparse(test)[:70]}")
        hit = self.position == len(self.found) - 1
        return ast.copy_location(ast.UnaryOp(ast.Not(), test), test) if hit else test

    def visit_If(self, node: ast.If) -> ast.AST:
        node.test = self.negated(node.test)
        return self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        # Choices of words in messages are no guardrail.
        return self.generic_visit(node) if not _in_message(node) else node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.ifs = [self.negated(test) for test in node.ifs]
        return self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        if not _in_message(node):
            node.values = [self.negated(value) if _is_test(value) else value for value in node.values]
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id in ("any", "all"):
            inner = node.args[0]
            assert isinstance(inner, ast.GeneratorExp)
            inner.elt = self.negated(inner.elt)
        return self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if isinstance(node.value, ast.Compare | ast.UnaryOp):
            node.value = self.negated(node.value)
        return self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Yield | ast.YieldFrom):
            self.found.append(f"line {node.lineno}, without {ast.unparse(node)[:50]}…")
            if self.position == len(self.found) - 1:
                # Still a generator, which yields nothing here.
                return ast.copy_location(ast.parse("(yield from ())").body[0], node)
        return self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node


def _in_message(node: ast.AST) -> bool:
    """Whether an expression only picks words: it has a text among its parts."""
    return any(isinstance(part, ast.JoinedStr) for part in ast.walk(node))


def _is_test(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare | ast.UnaryOp | ast.Call | ast.Name | ast.Attribute | ast.BoolOp)


@functools.cache
def _functions(module: str) -> dict[str, ast.FunctionDef]:
    source = inspect.getsource(importlib.import_module(f"policies.rules.{module}"))
    tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: node for node in found}


def mutants() -> Iterator[Mutant]:
    for module in MODULES:
        for name, node in _functions(module).items():
            if name in WORDS:
                continue
            places = Places()
            places.visit(copy.deepcopy(node))
            for position, what in enumerate(places.found):
                yield Mutant(module, name, position, what)


def mutated(mutant: Mutant) -> types.CodeType:
    node = copy.deepcopy(_functions(mutant.module)[mutant.function])
    Places(mutant.position).visit(node)
    # The body alone: decorators have been applied to the function that gets the code.
    node.decorator_list, node.returns = [], None
    for argument in node.args.args:
        argument.annotation = None
    module = importlib.import_module(f"policies.rules.{mutant.module}")
    scope = dict(vars(module))
    exec(compile(ast.fix_missing_locations(ast.Module([node], [])), mutant.module, "exec"), scope)
    code: types.CodeType = scope[mutant.function].__code__
    return code


def target(mutant: Mutant) -> types.FunctionType:
    module = importlib.import_module(f"policies.rules.{mutant.module}")
    found = getattr(module, mutant.function, None)
    if found is None:
        owners = [value for value in vars(module).values() if inspect.isclass(value)]
        found = next(vars(owner)[mutant.function] for owner in owners if mutant.function in vars(owner))
    function = found.fget if isinstance(found, property) else found
    assert isinstance(function, types.FunctionType)
    return function


class Situation:
    """A stack that is read once, with the violations that each rule must find in it."""

    def __init__(
        self, world: kit.World, config: Mapping[str, Any], expected: Counter[str], *, preview: bool = False
    ) -> None:
        hidden = kit.Preview(world) if preview else None
        self.expected = expected
        self.pack = Pack(RULES)
        self.pack.configured |= {
            name: options for name, (level, options) in kit.configured(config).items() if level != "disabled"
        }
        self.stack = Stack(kit.resources(world, hidden), self.pack)
        self.inputs = Stack(kit.resources(world, hidden, inputs=True), self.pack)
        for rule in RULES if preview else ():
            for resource in self.judged(rule):
                rule.judge(resource, self.stack)
                self.pack.note(rule, resource)

    def judged(self, rule: Rule) -> Iterator[Resource]:
        return self.pack.judged(rule, self.stack if rule.stack_checks else self.inputs)

    def is_judged_otherwise(self, rule: Rule) -> bool:
        if rule.name not in self.pack.configured:
            return False
        count = sum(len(rule.judge(resource, self.stack)) for resource in self.judged(rule))
        return count != self.expected[rule.name]


@functools.cache
def situations() -> list[Situation]:
    """The stacks of all tables with what must be found in them, and their first previews where nothing must be."""
    found = []
    entries: tuple[Spoil | Allowance, ...] = (*SPOILS, *ALLOWANCES)
    for entry in entries:
        world = baseline()
        entry.change(world)
        expected: Counter[str] = Counter(getattr(entry, "also", ()))
        if isinstance(entry, Spoil):
            expected[entry.rule] += entry.times
        found.append(Situation(world, entry.config, expected))
    for stack, direction in itertools.product(STACKS, DIRECTIONS):
        expected = Counter({"msk-preview-complete": 1})
        found.append(Situation(kit.world(stack, direction), {}, expected, preview=True))
    return found


@functools.cache
def users(module: str, function: str) -> list[Rule]:
    """The rules whose checks call a function, directly or by way of others."""
    named = {
        name: {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} | _attributes(node) for name, node in _all()
    }
    reached, grown = {function}, True
    while grown:
        more = {name for name, names in named.items() if names & reached} - reached
        grown = bool(more)
        reached |= more
    return [rule for rule in RULES if {check.__name__ for check in (*rule.checks, *rule.stack_checks)} & reached]


def _attributes(node: ast.AST) -> set[str]:
    return {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def _all() -> Iterator[tuple[str, ast.FunctionDef]]:
    for module in MODULES:
        yield from _functions(module).items()


def survives(mutant: Mutant) -> bool:
    function, rules = target(mutant), users(mutant.module, mutant.function)
    original, function.__code__ = function.__code__, mutated(mutant)
    try:
        # The spoils of the rules themselves come first: they notice nearly everything.
        names = {rule.name for rule in rules}
        ordered = sorted(situations(), key=lambda situation: not names & situation.expected.keys())
        return not any(situation.is_judged_otherwise(rule) for situation in ordered for rule in rules)
    except Exception:
        return False
    finally:
        function.__code__ = original


def test_nothing_is_noticed_where_nothing_is_changed() -> None:
    wrong = [rule.name for situation in situations() for rule in RULES if situation.is_judged_otherwise(rule)]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_every_mutant_is_noticed(module: str) -> None:
    tried = [mutant for mutant in mutants() if mutant.module == module]
    assert tried
    assert [str(mutant) for mutant in tried if survives(mutant)] == []
