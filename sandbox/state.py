"""What exists in the pretended cloud: one journal file per Region, read back when the sandbox starts again.

A journal is a text file of JSON lines, each `[kind, id, record]` with `null` for a deletion; the last line about an id
counts. A line is written before a call returns, so a killed sandbox loses nothing that it has answered; a line cut off
by a crash is ignored. Opening a journal rewrites it without what is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

Record = dict[str, Any]

GLOBAL = "global"
"""The pretended Region of IAM, which is one service for all Regions. At AWS its control plane lives in us-east-1."""

_SERIAL = "serial"
"""Kind of the records that count how often an id was asked for."""

Tables = dict[str, dict[str, Record]]


class Region:
    """The records of one Region, by kind and id. Not thread-safe: the cloud's lock guards all Regions."""

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self._file = file
        self._tables = read_journal(file)
        self._journal = self._compacted()

    def get(self, kind: str, id_: str) -> Record | None:
        """A record; the caller must not change it."""
        return self._tables.get(kind, {}).get(id_)

    def table(self, kind: str) -> Mapping[str, Record]:
        return self._tables.get(kind, {})

    def put(self, kind: str, id_: str, record: Record) -> None:
        _apply(self._tables, kind, id_, record)
        self._write(kind, id_, record)

    def remove(self, kind: str, id_: str) -> None:
        if self.get(kind, id_) is not None:
            _apply(self._tables, kind, id_, None)
            self._write(kind, id_, None)

    def digest(self, seed: str, *key: str) -> str:
        """64 hex digits that follow from seed, Region, key and how often it was asked for: never the same twice."""
        joined = "/".join(key)
        count = (self.get(_SERIAL, joined) or {"count": 0})["count"] + 1
        self.put(_SERIAL, joined, {"count": count})
        return hashlib.sha256(f"{seed}/{self.name}/{joined}/{count}".encode()).hexdigest()

    def close(self) -> None:
        self._journal.close()

    def _write(self, kind: str, id_: str, record: Record | None) -> None:
        self._journal.write(json.dumps([kind, id_, record], separators=(",", ":")) + "\n")
        self._journal.flush()

    def _compacted(self) -> TextIO:
        fresh = self._file.with_suffix(".new")
        with fresh.open("w") as file:
            for kind, table in self._tables.items():
                for id_, record in table.items():
                    file.write(json.dumps([kind, id_, record], separators=(",", ":")) + "\n")
        os.replace(fresh, self._file)
        return self._file.open("a")


def read_journal(file: Path) -> Tables:
    """What a journal says exists, by kind and id. Safe while another process writes it."""
    tables: Tables = {}
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    for line in lines:
        if line.endswith("\n"):
            _apply(tables, *json.loads(line))
    return tables


def resource_counts(tables: Tables) -> dict[str, int]:
    """Number of resources by type; the sandbox's own records are left out."""
    return {kind: len(table) for kind, table in sorted(tables.items()) if table and kind.startswith("aws:")}


def _apply(tables: Tables, kind: str, id_: str, record: Record | None) -> None:
    table = tables.setdefault(kind, {})
    if record is None:
        table.pop(id_, None)
    else:
        table[id_] = record
