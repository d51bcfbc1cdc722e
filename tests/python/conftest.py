"""Fixtures of the checks of mashbill's output; `../../test.sh` runs them after it has built the command."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find
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


@pytest.fixture(scope="session")
def chromium(workshop: Workshop) -> Iterator[Browser]:
    """A browser that all tests share."""
    program = find()
    if program is None:
        workshop.skip("the report in a browser", "there is no chromium (on Debian: apt-get install chromium)")
    opened = Browser(program, workshop.fresh("profile"))
    yield opened
    opened.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing = config.stash[MISSING]
    if missing:
        terminalreporter.section("NOT TESTED for lack of data", sep="!")
        for what, why in missing.items():
            terminalreporter.line(f"{what}: {why}")
