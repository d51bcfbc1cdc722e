"""Fixtures of the checks of mashbill's output; `../../test.sh` runs them after it has built the command."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import REPOSITORY, Workshop

MISSING = pytest.StashKey[dict[str, str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MISSING] = {}


@pytest.fixture(scope="session")
def workshop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """The command, the inputs and the runs that the tests share."""
    binary = Path(os.environ.get("MASHBILL", REPOSITORY / "target" / "debug" / "mashbill")).absolute()
    assert binary.is_file(), f"{binary} is not there: `cargo build` makes it, $MASHBILL names another"
    cache = request.config.cache.mkdir("tokenizers")
    yield Workshop(binary, tmp_path_factory.mktemp("mashbill"), cache, request.config.stash[MISSING])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing = config.stash[MISSING]
    if missing:
        terminalreporter.section("NOT TESTED for lack of data", sep="!")
        for what, why in missing.items():
            terminalreporter.line(f"{what}: {why}")
