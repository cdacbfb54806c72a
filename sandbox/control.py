"""A running sandbox from another process: the part of its AWS API that is not AWS."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

_SECONDS: Final = 300.0
"""How long an answer may take: a Region that is healed may have to start its brokers first."""


class Unreachable(Exception):
    """The sandbox does not answer, or cannot do what it was asked; nothing has changed."""


class Control:
    """The API at an endpoint. Every call may raise Unreachable."""

    def __init__(self, endpoint: str) -> None:
        self._base = f"{endpoint}/_sandbox"
        # Whatever proxy the user has: it is loopback.
        self._opener = build_opener(ProxyHandler({}))

    def status(self) -> dict[str, Any]:
        return self._ask("GET", "status")

    def calls(self) -> list[dict[str, Any]]:
        """The requests since the API started, oldest first."""
        found: list[dict[str, Any]] = self._ask("GET", "calls")["calls"]
        return found

    def change(self, region: str, verb: str) -> None:
        """`fail` or `heal`; returns once it is done."""
        self._ask("POST", f"regions/{region}/{verb}")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self._base}/{path}", b"" if method == "POST" else None, headers, method=method)
        try:
            with self._opener.open(request, timeout=_SECONDS) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as error:
            reason = f"{error.code}: {error.read(500).decode(errors='replace')}"
        except (OSError, HTTPException, ValueError) as error:
            reason = str(getattr(error, "reason", error))
        raise Unreachable(f"the sandbox at {self._base} does not do {path}; nothing was changed. It says: {reason}")
