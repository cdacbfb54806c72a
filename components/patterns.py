"""Topic and group patterns: Java regular expressions for the Replicator, globs for IAM."""

import re
from typing import Final

_GLOB: Final = re.compile(r"(?:^|(?<!\\)[\w-])\*")
_TOKEN: Final = re.compile(r"(?P<any>\.[*+]?)|\\(?P<escaped>\W)|(?P<literal>[\w-])", re.ASCII)
_SEPARATOR: Final = re.compile(r"\\.|\[(?:\\.|[^\]])*\]|(?P<open>\()|(?P<close>\))|(?P<bar>\|)|.")


def problem_with(pattern: str, longest: int) -> str | None:
    """What is wrong with a pattern of a Replicator's list, as the rest of a sentence; None when nothing is.

    The lists hold regular expressions that must match a whole name. `longest` is in characters.
    """
    if not pattern:
        return "is empty; every pattern must match something. Write '.*' for everything"
    if len(pattern) > longest:
        return f"has {len(pattern)} characters; at most {longest} are allowed. Split it into several patterns"
    if glob := _GLOB.search(pattern):
        fixed = pattern[: glob.end() - 1] + "." + pattern[glob.end() - 1 :]
        return f"looks like a glob; the Replicator reads regular expressions. Write {fixed!r}"
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        return (
            f"is no regular expression ({error}); every pattern must be one. Escape special characters with a backslash"
        )
    return None


def iam_globs(pattern: str) -> list[str]:
    """IAM resource patterns that cover every name which the regular expression matches, as narrow as is plain to see.

    IAM knows `*` and `?` only, so literals, `.`, `.*` and `.+` are translated, and from the first thing beyond them
    on the rest becomes `*`. Alternatives outside of brackets become one glob each. Source: developer guide,
    msk-replicator-permissions (the topic ARNs of the role take globs where the Replicator takes regular expressions).
    """
    return list(dict.fromkeys(_glob(part) for part in _alternatives(pattern)))


def _alternatives(pattern: str) -> list[str]:
    depth, start, parts = 0, 0, []
    for token in _SEPARATOR.finditer(pattern):
        depth += bool(token["open"]) - bool(token["close"])
        if token["bar"] and depth == 0:
            parts.append(pattern[start : token.start()])
            start = token.end()
    return [*parts, pattern[start:]]


def _glob(pattern: str) -> str:
    text, glob, at = pattern.removeprefix("^"), "", 0
    while at < len(text) and text[at:] != "$":
        token = _TOKEN.match(text, at)
        if token is None or text[token.end() : token.end() + 1] in ("*", "+", "?", "{"):
            return re.sub(r"\*+", "*", glob + "*")
        glob += {".": "?", ".*": "*", ".+": "?*"}.get(token["any"] or "", token["escaped"] or token["literal"] or "")
        at = token.end()
    return re.sub(r"\*+", "*", glob)
