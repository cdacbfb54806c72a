"""What a Replicator's process says of itself: Connect's REST interface, and the metrics of its JVM."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sandbox.kafka.settings import CHECKPOINT_CONNECTOR, SOURCE_CONNECTOR

SECONDS: Final = 3.0

_DIRECT: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is never reached through a proxy, whatever the environment says."""


class NoAnswer(Exception):
    """The process does not answer, or not with what was asked for."""


def ask(url: str, body: object = None, *, method: str | None = None, seconds: float = SECONDS) -> Any:
    """JSON from an address on loopback; NoAnswer when there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with _DIRECT.open(request, timeout=seconds) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"{url} answers {error.code}: {error.read().decode(errors='replace')[:300]}") from None
    except (OSError, ValueError) as error:
        raise NoAnswer(f"{url} does not answer: {error}") from None


class Worker:
    """The Connect worker of one Replicator."""

    def __init__(self, rest_port: int) -> None:
        self._url = f"http://127.0.0.1:{rest_port}/connectors"

    def ready(self) -> bool:
        """Whether both connectors have started; how they do is another question."""
        try:
            found = ask(f"{self._url}?expand=status")
        except NoAnswer:
            return False
        return all(
            name in found and found[name]["status"]["connector"]["state"] != "UNASSIGNED"
            for name in (SOURCE_CONNECTOR, CHECKPOINT_CONNECTOR)
        )

    def dead(self) -> dict[str, str]:
        """Connectors that failed or have a failed task, and why."""
        try:
            found = ask(f"{self._url}?expand=status")
        except NoAnswer as error:
            return {SOURCE_CONNECTOR: str(error), CHECKPOINT_CONNECTOR: str(error)}
        dead = {}
        for name, known in sorted(found.items()):
            for part in (known["status"]["connector"], *known["status"]["tasks"]):
                if part["state"] == "FAILED":
                    dead[name] = _cause(part.get("trace", ""))
        return dead

    def configure(self, name: str, config: Mapping[str, str]) -> None:
        """Other settings for a connector, which starts its tasks again."""
        ask(f"{self._url}/{name}/config", config, method="PUT", seconds=60)
        ask(f"{self._url}/{name}/restart?includeTasks=true&onlyFailed=true", {}, method="POST")

    def partitions(self) -> set[tuple[str, int]]:
        """The partitions of the source that are copied."""
        found = set()
        for task in ask(f"{self._url}/{SOURCE_CONNECTOR}/tasks"):
            assigned = task["config"].get("task.assigned.partitions", "")
            for each in filter(None, assigned.split(",")):
                topic, partition = each.rsplit("-", 1)
                found.add((topic, int(partition)))
        return found

    def committed(self) -> dict[tuple[str, int], int]:
        """Offset of the last record of each source partition that is known to be copied."""
        found = {}
        for each in ask(f"{self._url}/{SOURCE_CONNECTOR}/offsets")["offsets"]:
            where, offset = each["partition"], each["offset"]
            if offset:
                found[where["topic"], int(where["partition"])] = int(offset["offset"])
        return found


def _cause(trace: str) -> str:
    """The last `Caused by` of a Java stack trace: what went wrong first."""
    lines = [line.strip() for line in trace.splitlines() if line.strip() and not line.startswith("\t")]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return causes[-1] if causes else (lines[0] if lines else "no reason given")


def beans(agent_port: int, patterns: Sequence[str]) -> list[dict[str, dict[str, Any]]]:
    """For each pattern the JMX beans that match it, with their attributes; NoAnswer when the agent gives none."""
    answers = ask(
        f"http://127.0.0.1:{agent_port}/jolokia/",
        [{"type": "read", "mbean": pattern, "config": {"ignoreErrors": True}} for pattern in patterns],
    )
    # A pattern that matches nothing is answered with 404: there are no such beans yet.
    found = []
    for pattern, answer in zip(patterns, answers, strict=True):
        if answer["status"] not in (200, 404):
            raise NoAnswer(f"{pattern}: {answer.get('error')}")
        value = answer.get("value") or {}
        found.append(value if "*" in pattern else {pattern: value} if value else {})
    return found


def keys(bean: str) -> dict[str, str]:
    """The key properties of a bean's name, `type` and `topic` for example."""
    return {key: value.strip('"') for key, value in (part.split("=", 1) for part in bean.split(":", 1)[1].split(","))}
