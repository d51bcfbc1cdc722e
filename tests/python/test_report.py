"""`mashbill report` in a real browser: drawn without an error, in light and dark, wide and narrow, by click and key."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, find
from cases import REPOSITORY, Workshop

WIDTHS = (1280, 400)

CHARTS = {"tokenized": ["lengths", "packing", "ranks", "timeline"], "raw": ["lengths"]}
SECTIONS = {
    "tokenized": [
        "overview",
        "categories",
        "datasets",
        "sources",
        "density",
        "scripts",
        "rejects",
        "tokens",
        "samples",
    ],
    "raw": ["overview", "categories", "datasets", "sources", "scripts", "rejects", "samples"],
}


def records(count: int) -> str:
    lines = [
        {
            "id": f"r{n}",
            "text": f"Record {n}: </script><b>Grüße, мир, 世界</b> " + "and so on " * (n % 50),
            "source": f"site {n % 7}",
            "category": "chat" if n % 3 else "code",
        }
        for n in range(count)
    ]
    return "not json\n" + "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


@pytest.fixture(scope="module", params=["tokenized", "raw"])
def page(request: pytest.FixtureRequest, workshop: Workshop) -> tuple[str, Path]:
    """A report of each kind of folder."""
    folder = workshop.fresh("report")
    data = folder / "data"
    data.mkdir(parents=True)
    (data / "chat.jsonl").write_text(records(120), encoding="utf-8")
    (data / "more.jsonl").write_text(records(300).replace("r1", "q1").replace("not json\n", ""), encoding="utf-8")
    path = data
    if request.param == "tokenized":
        path = folder / "out"
        workshop.command("tokenize", "--input", data, "--output", path, "--tokenizer", "gpt2", "--max-seq-length", 128)
    html = folder / "report.html"
    # The raw folder has a line that is no record, which is a problem.
    workshop.command("report", path, "-o", html, expect=0 if request.param == "tokenized" else 4)
    return request.param, html


@pytest.fixture(scope="module")
def chromium(workshop: Workshop) -> Iterator[Browser]:
    """A browser that all tests share."""
    program = find()
    if program is None:
        workshop.skip("the report in a browser", "there is no chromium (on Debian: apt-get install chromium)")
    opened = Browser(program, workshop.fresh("profile"))
    yield opened
    opened.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_drawn(page: tuple[str, Path], chromium: Browser, width: int, dark: bool) -> None:
    kind, html = page
    chromium.open(html, width, dark)
    assert chromium.complaints() == []
    for name in SECTIONS[kind] + CHARTS[kind]:
        assert chromium.value(f"document.querySelectorAll('section#{name}').length") == 1, name
    for name in CHARTS[kind]:
        # Pixels of the bars' or lines' own color are there.
        drawn = chromium.value(
            f"(() => {{ const canvas = document.querySelector('#{name}-chart canvas');"
            " const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height); let count = 0;"
            " for (let at = 0; at < data.length; at += 4)"
            " if (data[at + 3] > 200 && data[at + 2] > data[at] + 60) count++; return count; })()"
        )
        assert drawn > 20, name
    assert chromium.value("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    shown = chromium.value("document.getElementById('main').innerText")
    assert "undefined" not in shown and "NaN" not in shown
    ground = chromium.value("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(18, 22, 29)") == dark, ground


def test_the_samples_are_browsed_by_clicks_and_keys(page: tuple[str, Path], chromium: Browser) -> None:
    kind, html = page
    chromium.open(html)
    where = "document.getElementById('where').textContent"
    text = "document.getElementById('browser').textContent"
    count = chromium.value("document.getElementById('sample').options.length")
    assert count > 3
    first = chromium.value(text)
    assert chromium.value(where) == f"1 of {count}"
    chromium.click("#next")
    assert chromium.value(where) == f"2 of {count}"
    assert chromium.value(text) != first
    chromium.click("#previous")
    assert chromium.value(text) == first
    chromium.value("document.getElementById('browser').focus()")
    chromium.press("ArrowRight")
    chromium.press("ArrowRight")
    chromium.press("ArrowLeft")
    assert chromium.value(where) == f"2 of {count}"
    chromium.press("End")
    assert chromium.value(where) == f"{count} of {count}"
    assert chromium.value("document.getElementById('next').disabled")
    chromium.press("Home")
    assert chromium.value(text) == first
    if kind == "tokenized":
        chromium.click(".token")
        detail = chromium.value("document.getElementById('detail').textContent")
        assert detail.startswith("position 0: id 23739, label "), detail
        assert "</script><b>" in first.replace("\u200b", "")
    assert chromium.complaints() == []


def test_the_theme_is_switched_by_a_button(page: tuple[str, Path], chromium: Browser) -> None:
    _, html = page
    chromium.open(html)
    ground = "getComputedStyle(document.body).backgroundColor"
    before = chromium.value(ground)
    chromium.click("#theme")
    assert chromium.value(ground) != before
    chromium.click("#theme")
    assert chromium.value(ground) == before
    assert chromium.complaints() == []


def test_every_button_is_reached_by_the_keyboard(page: tuple[str, Path], chromium: Browser) -> None:
    _, html = page
    chromium.open(html)
    seen = set()
    for _ in range(40):
        chromium.send("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
        seen.add(chromium.value("document.activeElement.id"))
    assert {"theme", "next", "sample", "browser"} <= seen


def test_the_chart_library_is_the_one_that_is_named() -> None:
    folder = REPOSITORY / "crates" / "cli" / "assets" / "report"
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    named = [line.split() for line in lines if line.endswith((".min.js", ".min.css"))]
    assert len(named) == 2
    for digest, name in named:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_the_targets_of_categories_are_shown(workshop: Workshop, chromium: Browser) -> None:
    data = workshop.fresh("data")
    data.mkdir()
    for name, target in (("code", 30), ("chat", 70)):
        record = json.dumps({"text": "x" * 100, "category": name})
        (data / f"{name}.jsonl").write_text(record + "\n", encoding="utf-8")
        stats = {"category": name, "target_percent": target}
        (data / f"{name}.stats.json").write_text(json.dumps(stats), encoding="utf-8")
    html = workshop.fresh("report.html")
    workshop.command("report", data, "-o", html)
    chromium.open(html)
    assert chromium.value("document.querySelectorAll('#categories .target').length") == 2
    assert "70 %" in chromium.value("document.getElementById('categories').innerText")


def test_the_file_stays_small(page: tuple[str, Path]) -> None:
    _, html = page
    assert html.stat().st_size < 3_000_000
