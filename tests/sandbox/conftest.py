"""A fresh pretended cloud for every test."""

from __future__ import annotations

import pytest

from sandbox.cloud import Cloud
from tests.sandbox.kit import EAST, Client, Network, Pair


@pytest.fixture
def east(cloud: Cloud) -> Client:
    return Client(cloud, EAST)


@pytest.fixture
def network(east: Client) -> Network:
    return Network(east)


@pytest.fixture
def pair(cloud: Cloud) -> Pair:
    return Pair(cloud)
