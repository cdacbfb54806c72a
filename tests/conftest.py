"""What holds for every test. Folders with needs of their own have a conftest of their own."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox.cloud import Cloud

# An Output in a string is a mistake that would otherwise end in a resource's name.
os.environ.setdefault("PULUMI_ERROR_OUTPUT_STRING", "true")

# What is imported stays: looking for garbage in it takes a second.
gc.disable()


def pytest_configure(config: pytest.Config) -> None:
    # A test that returns something asserts nothing.
    config.addinivalue_line("filterwarnings", "error::pytest.PytestReturnNotNoneWarning")
    # The SDK warns of classes of its own that nobody here uses.
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:pulumi_aws")


def pytest_collection_finish() -> None:
    gc.enable()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """A fresh pretended cloud."""
    # Here, because the tests of the program alone need nothing of it.
    from tests.sandbox.kit import open_cloud

    opened = open_cloud(tmp_path)
    yield opened
    opened.close()
