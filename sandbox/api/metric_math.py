"""The part of CloudWatch's metric math that the project's alarms use: arithmetic, comparison, AND and OR, and IF, FILL,
DIFF, MAX, MIN, SUM, AVG, ABS. Everything else is a MathError, never a wrong value. (CloudWatch user guide, 2026-09.)
"""

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

Values = dict[int, float]
"""A time series: values by the beginning of their period, in seconds since 1970."""

_Operand = float | Values | list["Values"]

_OPERATORS: Final[Mapping[type, Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.And: lambda left, right: bool(left) and bool(right),
    ast.Or: lambda left, right: bool(left) or bool(right),
}


class MathError(Exception):
    """An expression that is wrong or not served here."""


def evaluate(expression: str, metrics: Mapping[str, Values], grid: Sequence[int]) -> Values:
    """The expression's values over the metrics by id. `grid` are the periods asked for, which FILL fills."""
    text = re.sub(r"\bAND\b|&&", " and ", re.sub(r"\bOR\b|\|\|", " or ", expression)).strip()
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise MathError(f"{expression} is not metric math that the sandbox knows") from error
    result = _Evaluation(metrics, grid).value(tree.body)
    if not isinstance(result, dict):
        raise MathError(f"{expression} is not a time series")
    return result


class _Evaluation:
    def __init__(self, metrics: Mapping[str, Values], grid: Sequence[int]) -> None:
        self._metrics = metrics
        self._grid = grid

    def value(self, node: ast.expr) -> _Operand:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name) if name in self._metrics:
                return self._metrics[name]
            case ast.List(elts=items):
                return [self._series(item) for item in items]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _combine(operator.mul, -1.0, self._plain(operand))
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(type(op), left, right)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._binary(type(op), left, right)
            case ast.BoolOp(op=op, values=[first, *rest]):
                result = self._plain(first)
                for item in rest:
                    result = _combine(_OPERATORS[type(op)], result, self._plain(item))
                return result
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name.upper(), arguments)
        raise MathError(f"{ast.unparse(node)} is not served by the sandbox")

    def _binary(self, kind: type, left: ast.expr, right: ast.expr) -> float | Values:
        if kind not in _OPERATORS:
            raise MathError(f"the operator {kind.__name__} is not served by the sandbox")
        return _combine(_OPERATORS[kind], self._plain(left), self._plain(right))

    def _call(self, name: str, arguments: list[ast.expr]) -> _Operand:
        match name, arguments:
            case "IF", [condition, then, otherwise]:
                return self._if(self._plain(condition), self._plain(then), self._plain(otherwise))
            case "FILL", [series, filler]:
                values, fill = self._series(series), self._plain(filler)
                if isinstance(fill, dict):
                    return {moment: values.get(moment, fill.get(moment, 0.0)) for moment in self._grid}
                return {moment: values.get(moment, fill) for moment in self._grid}
            case "DIFF", [series]:
                values = self._series(series)
                moments = sorted(values)
                return {now: values[now] - values[then] for then, now in zip(moments, moments[1:], strict=False)}
            case "ABS", [series]:
                return {moment: abs(value) for moment, value in self._series(series).items()}
            case ("MAX" | "MIN" | "SUM" | "AVG") as function, [argument]:
                return _reduce(function, self.value(argument))
        raise MathError(f"{name} with {len(arguments)} arguments is not served by the sandbox")

    def _if(self, condition: float | Values, then: float | Values, otherwise: float | Values) -> float | Values:
        if not isinstance(condition, dict):
            return then if condition else otherwise
        chosen = {}
        for moment, holds in condition.items():
            branch = then if holds else otherwise
            value = branch.get(moment) if isinstance(branch, dict) else branch
            if value is not None:
                chosen[moment] = value
        return chosen

    def _plain(self, node: ast.expr) -> float | Values:
        value = self.value(node)
        if isinstance(value, list):
            raise MathError(f"{ast.unparse(node)} is a list; it must be a number or a time series")
        return value

    def _series(self, node: ast.expr) -> Values:
        value = self.value(node)
        if not isinstance(value, dict):
            raise MathError(f"{ast.unparse(node)} must be a time series")
        return value


def _combine(function: Callable[[float, float], float], left: float | Values, right: float | Values) -> float | Values:
    """Period by period where both have a value."""
    if isinstance(left, dict):
        moments = left.keys() & right.keys() if isinstance(right, dict) else left.keys()
    elif isinstance(right, dict):
        moments = right.keys()
    else:
        return _apply(function, left, right) or 0.0
    found: dict[int, Any] = {
        moment: _apply(
            function,
            left[moment] if isinstance(left, dict) else left,
            right[moment] if isinstance(right, dict) else right,
        )
        for moment in moments
    }
    return {moment: value for moment, value in found.items() if value is not None}


def _apply(function: Callable[[float, float], float], left: float, right: float) -> float | None:
    try:
        return float(function(left, right))
    except ZeroDivisionError:
        return None


def _reduce(name: str, value: _Operand) -> _Operand:
    """Over a list: period by period. Over one series: a number, of all its values."""
    functions: Mapping[str, Callable[[list[float]], float]] = {
        "MAX": max,
        "MIN": min,
        "SUM": sum,
        "AVG": lambda values: sum(values) / len(values),
    }
    function = functions[name]
    if isinstance(value, dict):
        if not value:
            raise MathError(f"{name} of no values")
        return function(list(value.values()))
    if isinstance(value, list):
        moments = {moment for series in value for moment in series}
        return {moment: function([series[moment] for series in value if moment in series]) for moment in moments}
    raise MathError(f"{name} needs a time series or a list of them")
