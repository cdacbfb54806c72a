"""One API for all tests that leave it as they found it; the others start their own one after it has stopped."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api.server import Api
from tests.api.world import ON_DEMAND, PRIMARY, SECONDARY, World, execution_policy

# Thousands of machine images that no test looks at would be made at every start, half a second each time.
os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Api(tmp_path_factory.mktemp("api"), timing=ON_DEMAND) as api:
        yield World(api)


@pytest.fixture(scope="module")
def cluster(world: World) -> str:
    """A cluster in the primary Region that no test changes."""
    return world.cluster(PRIMARY)


@pytest.fixture(scope="module")
def source(world: World) -> str:
    """A cluster in the primary Region that Replicators may read from."""
    return world.source(PRIMARY)


@pytest.fixture(scope="module")
def target(world: World) -> str:
    return world.cluster(SECONDARY)


@pytest.fixture(scope="module")
def role(world: World) -> str:
    return world.role(execution_policy())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"
