"""What exists, kept in one SQLite file: it survives the process, and a write is there before the call returns."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, region TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, region, id)
);
"""


class Store:
    """Records by kind, Region and id. A record handed out is a copy: a change counts once it is put back."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        # The process may be killed at any time; the machine's own crash is not worth an fsync a call.
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One thread at a time; all writes within it count together or, after an exception, not at all."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def get(self, kind: str, region: str, id_: str) -> Record | None:
        row = self._one("SELECT body FROM records WHERE kind = ? AND region = ? AND id = ?", kind, region, id_)
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, region: str, id_: str, record: Record) -> None:
        sql = "INSERT INTO records VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
        self._write(sql, kind, region, id_, json.dumps(record))

    def remove(self, kind: str, region: str, id_: str) -> None:
        self._write("DELETE FROM records WHERE kind = ? AND region = ? AND id = ?", kind, region, id_)

    def all(self, kind: str, region: str | None = None) -> list[Record]:
        """All of a kind, in one Region or in every one, oldest first."""
        sql = "SELECT body FROM records WHERE kind = ? AND (? IS NULL OR region = ?) ORDER BY rowid"
        with self._lock:
            rows = self._db.execute(sql, (kind, region, region)).fetchall()
        return [json.loads(row[0]) for row in rows]

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _one(self, sql: str, *values: Any) -> Any:
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def _write(self, sql: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(sql, values)
