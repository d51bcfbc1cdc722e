"""`mashbill report` of a training run: from the records and the configuration that `mashbill train` writes."""

import json
import math
from pathlib import Path

import pytest
from browser import Browser
from cases import Workshop

CHARTS = ["loss", "validation", "rate", "norm", "speed", "wait", "seen-over-time"]
SECTIONS = ["overview", "measured", "seen", "config"]

CONFIG = """train_data_path: {data}
val_data_path: null
use_pretokenized_data: true
pretokenized_splits: null
model:
  start_from: null
  llama:
    hidden_size: 64
steps: {steps}
optimizer:
  learning_rate: 0.0003
  betas:
  - 0.9
  - 0.95
mix:
- weights:
    a: 0.5
    b: 0.5
  from_step: 0
  ramp: false
- weights:
    a: 1.0
  from_step: 200
  ramp: false
"""


def metrics(steps: int, by_split: bool = True) -> str:
    """The records of a run: half of each split up to step 200, then split `a` alone; a measurement every 50 steps."""
    lines, seen = [], {"a": 0, "b": 0}
    for step in range(steps):
        seen["a"] += 512 if step < 200 else 1024
        seen["b"] += 512 if step < 200 else 0
        record = {
            "step": step,
            "loss": 8 * math.exp(-step / steps) + 0.1 * math.sin(step),
            "learning_rate": 3e-4 * min(1, step / 50),
            "gradient_norm": 1 + 0.5 * math.cos(step),
            "tokens": 1024 * (step + 1),
            "tokens_per_second": 10_000 + step % 100,
            "loader_wait": 0.001,
        }
        if by_split:
            record["tokens_by_split"] = dict(seen)
        lines.append(json.dumps(record))
        if step % 50 == 49:
            lines.append(json.dumps({"step": step, "validation": {"a": 7 - step / steps, "b": 6 - step / steps}}))
    return "".join(f"{line}\n" for line in lines)


def run_folder(workshop: Workshop, records: str, steps: int) -> Path:
    """The folder of a run with these records, and the data that it was trained on."""
    folder = workshop.fresh("run")
    data = folder / "data"
    data.mkdir(parents=True)
    for name in ("a", "b"):
        (data / f"{name}.jsonl").write_text(json.dumps({"text": "some words " * 50}) + "\n", encoding="utf-8")
    tokenized = folder / "tokenized"
    workshop.command("tokenize", "--input", data, "--output", tokenized, "--tokenizer", "gpt2", "--max-seq-length", 64)
    run = folder / "direct"
    (run / "checkpoints" / f"step_{steps:08d}").mkdir(parents=True)
    (run / "metrics.jsonl").write_text(records, encoding="utf-8")
    (run / "config.yaml").write_text(CONFIG.format(data=tokenized, steps=steps), encoding="utf-8")
    return run


@pytest.fixture(scope="module")
def page(workshop: Workshop) -> Path:
    """The report of a run of 400 steps."""
    html = workshop.fresh("run.html")
    workshop.command("report", run_folder(workshop, metrics(400), 400), "-o", html)
    return html


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_everything_is_drawn(page: Path, chromium: Browser, width: int, dark: bool) -> None:
    chromium.open(page, width, dark)
    assert chromium.complaints() == []
    for name in SECTIONS + CHARTS:
        assert chromium.value(f"document.querySelectorAll('section#{name}').length") == 1, name
    for name in CHARTS:
        assert chromium.drawn(f"{name}-chart") > 20, name
    assert chromium.value("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    shown = chromium.value("document.getElementById('main').innerText")
    assert "undefined" not in shown and "NaN" not in shown
    assert "step 400" in shown and "409,600" in shown


def test_the_mix_is_held_against_the_configuration(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    # 200 of 400 steps with a half of each, 200 with `a` alone.
    shown = chromium.value("document.getElementById('seen').innerText").split()
    assert shown[shown.index("a") :][:6] == ["a", "307,200", "75.0", "%", "75", "%"]
    assert shown[shown.index("b") :][:6] == ["b", "102,400", "25.0", "%", "25", "%"]


def test_the_configuration_opens_by_key(page: Path, chromium: Browser) -> None:
    chromium.open(page)
    assert not chromium.value("document.querySelector('#config details').open")
    chromium.value("document.querySelector('#config summary').focus()")
    chromium.send(
        "Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
    )
    assert chromium.value("document.querySelector('#config details').open")
    assert "learning_rate: 0.0003" in chromium.value("document.querySelector('#config pre').innerText")
    assert chromium.complaints() == []


def test_a_run_from_before_says_what_is_missing(workshop: Workshop, chromium: Browser) -> None:
    html = workshop.fresh("run.html")
    # A loss that is no number, and a line that a kill cut off.
    records = metrics(60, by_split=False) + '{"step": 60, "loss": NaN, "tokens": 61440}\n{"step": 61, "lo'
    workshop.command("report", run_folder(workshop, records, 100), "-o", html)
    chromium.open(html)
    assert chromium.complaints() == []
    assert chromium.value("document.querySelectorAll('#seen, #seen-over-time').length") == 0
    shown = chromium.value("document.getElementById('overview').innerText")
    assert "before tokens were counted by split" in shown
    assert "61 of 100" in shown


def test_the_page_of_a_long_run_stays_small(workshop: Workshop, chromium: Browser) -> None:
    html = workshop.fresh("run.html")
    workshop.command("report", run_folder(workshop, metrics(30_000), 30_000), "-o", html)
    assert html.stat().st_size < 1_000_000
    chromium.open(html)
    assert chromium.complaints() == []
    assert chromium.drawn("loss-chart") > 20
    points = chromium.value("JSON.parse(document.getElementById('data').textContent).steps")
    assert 1000 < len(points) <= 2000 and points[-1] == 29_999


def test_a_folder_of_nothing_is_refused(workshop: Workshop) -> None:
    empty = workshop.fresh("empty")
    empty.mkdir()
    said = workshop.command("report", empty, expect=2).stderr
    assert "holds nothing to report on" in said and "hint: give a folder" in said
