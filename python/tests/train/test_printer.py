"""What reaches the terminal, and how much is loaded before it does."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from mashbill.train import printer


@pytest.mark.parametrize(
    "text, shown",
    [
        ("caf\xe9 \u4e2d \U0001f600", "caf\xe9 \u4e2d \U0001f600"),
        ("\x1b[2Ja\r\n\tb\x7f", r"\u{1b}[2Ja\r\n\tb\u{7f}"),
        ("\x9b31m", r"\u{9b}31m"),
        ("a\u202eb\u2066\u200f", r"a\u{202e}b\u{2066}\u{200f}"),
        ("a\u2028b\udcff", "a\\u{2028}b\ufffd\ufffd\ufffd"),
        ("401 for hf_abcdefghijklmnopqrstuvwxyz", "401 for hf_\u2026"),
    ],
)
def test_what_could_act_on_a_terminal_is_shown_escaped(text: str, shown: str) -> None:
    assert printer.escaped(text) == shown


def test_a_line_that_is_too_long_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    printer.say("\x1b" + "a" * 5000)
    assert capsys.readouterr().err == "\\u{1b}" + "a" * 3994 + "… and 1,006 more characters\n"


def test_line_ends_are_kept_where_a_text_has_lines_of_its_own() -> None:
    assert printer.escaped("a\n\tb\x1b\r\n", kept="\n\t") == "a\n\tb\\u{1b}\\r\n"


def test_warnings_of_libraries_are_shown_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    factory = logging.getLogRecordFactory()
    handler = logging.StreamHandler(sys.stderr)
    logger = logging.getLogger("transformers.a_test")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        printer.escape_logs()
        logger.warning("a model called %s", "\x1b]0;x\x07")
    finally:
        logging.setLogRecordFactory(factory)
        logging.captureWarnings(False)
        logger.removeHandler(handler)
    assert capsys.readouterr().err == "a model called \\u{1b}]0;x\\u{7}\n"


LOADED = """
import json, sys
from mashbill.train.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as error:
    code = error.code
heavy = [name for name in ("pydantic", "numpy", "torch", "transformers") if name in sys.modules]
print(json.dumps([code, heavy]), file=sys.stderr)
"""


def test_help_and_mistakes_come_before_anything_heavy(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("train_data_path: .\nseed: -1\nmodel: {llama: {}}\n")
    for arguments, expected in (
        (["--help"], [0, []]),
        ([], [2, []]),
        (["--config", str(tmp_path / "run.yaml")], [2, ["pydantic"]]),
    ):
        command = [sys.executable, "-c", LOADED, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert json.loads(ran.stderr.splitlines()[-1]) == expected, ran.stderr
