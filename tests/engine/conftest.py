"""Deployments to start from: each is made once and copied for every test that goes on from it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.deployment import FOR_TESTS, REGIONS, Deployment, copied, deployed


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("deployments")


@pytest.fixture(scope="session")
def template_of_nothing(templates: Path) -> Path:
    """Two stacks that exist and were never updated."""
    folder = templates / "nothing"
    with deployed(folder) as deployment:
        for stack in REGIONS:
            deployment.pulumi.init(stack)
            deployment.configure(stack, **FOR_TESTS)
    return folder


@pytest.fixture(scope="session")
def template_of_primary(templates: Path, template_of_nothing: Path) -> Path:
    """The primary stack is up, the secondary was never updated."""
    folder = copied(template_of_nothing, templates / "primary")
    with deployed(folder) as deployment:
        deployment.up("primary")
    return folder


@pytest.fixture(scope="session")
def template_of_pair(templates: Path, template_of_primary: Path) -> Path:
    """Both stacks are up, with the configuration that the repository gives them."""
    folder = copied(template_of_primary, templates / "pair")
    with deployed(folder) as deployment:
        deployment.up("secondary")
    return folder


@pytest.fixture
def nothing(template_of_nothing: Path, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(copied(template_of_nothing, tmp_path / "aws")) as deployment:
        yield deployment


@pytest.fixture
def primary(template_of_primary: Path, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(copied(template_of_primary, tmp_path / "aws")) as deployment:
        yield deployment


@pytest.fixture
def pair(template_of_pair: Path, tmp_path: Path) -> Iterator[Deployment]:
    with deployed(copied(template_of_pair, tmp_path / "aws")) as deployment:
        deployment.sandbox.forget_calls()
        yield deployment


@pytest.fixture(scope="session")
def template_state(template_of_pair: Path, templates: Path) -> Callable[[str], dict[str, Any]]:
    """The state of a stack of the pair, made without disturbance."""
    with deployed(copied(template_of_pair, templates / "read")) as deployment:
        states = {stack: deployment.state(stack) for stack in REGIONS}
    return states.__getitem__
