"""What holds for the tests of the policy pack."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: goes through so many cases that it takes seconds")
