"""A fresh pretended cloud for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cloud import Cloud
from tests.sandbox.kit import EAST, Client, Network, Pair, open_cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    opened = open_cloud(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def east(cloud: Cloud) -> Client:
    return Client(cloud, EAST)


@pytest.fixture
def network(east: Client) -> Network:
    return Network(east)


@pytest.fixture
def pair(cloud: Cloud) -> Pair:
    return Pair(cloud)
