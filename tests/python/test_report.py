"""`mashbill report` in a real browser: drawn without an error, in light and dark, wide and narrow, by click and key."""

import hashlib
import json
from pathlib import Path

import pytest
import xxhash
from browser import Browser
from cases import REPOSITORY, Workshop

WIDTHS = (1280, 400)

CHARTS = {"tokenized": ["lengths", "packing", "ranks", "timeline"], "raw": ["lengths"]}
SECTIONS = {
    "tokenized": [
        "overview",
        "categories",
        "datasets",
        "sources",
        "lengths-by",
        "padding",
        "density",
        "scripts",
        "rejects",
        "duplicates",
        "tokens",
        "samples",
    ],
    "raw": [
        "overview",
        "categories",
        "datasets",
        "sources",
        "lengths-by",
        "scripts",
        "rejects",
        "duplicates",
        "samples",
    ],
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


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_everything_is_drawn(page: tuple[str, Path], chromium: Browser, width: int, dark: bool) -> None:
    kind, html = page
    chromium.open(html, width, dark)
    assert chromium.complaints() == []
    for name in SECTIONS[kind] + CHARTS[kind]:
        assert chromium.value(f"document.querySelectorAll('section#{name}').length") == 1, name
    for name in CHARTS[kind]:
        assert chromium.drawn(f"{name}-chart") > 20, name
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
    folder = REPOSITORY / "crates" / "report" / "assets"
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    named = [line.split() for line in lines if line.endswith((".min.js", ".min.css"))]
    assert len(named) == 2
    for digest, name in named:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_copies_are_counted_where_they_stand_again(page: tuple[str, Path], chromium: Browser) -> None:
    _, html = page
    chromium.open(html)
    # The second file has the texts of the first one, and more.
    shown = chromium.value("document.getElementById('duplicates').innerText")
    assert "120 of 420 documents repeat the text of an earlier one" in shown
    assert "40.0 %" in shown


def test_what_is_shown_does_not_depend_on_threads(page: tuple[str, Path], workshop: Workshop) -> None:
    kind, html = page
    path = html.parent / ("out" if kind == "tokenized" else "data")
    other = workshop.fresh("other.html")
    workshop.command("report", path, "-o", other, "--threads", 1, expect=0 if kind == "tokenized" else 4)
    assert other.read_bytes() == html.read_bytes()


def test_what_a_download_says_is_shown(workshop: Workshop, chromium: Browser) -> None:
    """Targets, rows that were refused, and the time line come from the statistics beside the records."""
    data = workshop.fresh("data")
    for name, target in (("code", 30), ("chat", 70)):
        (data / name).mkdir(parents=True)
        text = "x" * 100
        line = json.dumps({"text": text, "id": f"{name}/0", "source": f"{name}1", "category": name}).encode() + b"\n"
        (data / name / f"{name}1.jsonl").write_bytes(line)
        counts = {"rows_in": 3, "rows_out": 1, "rows_not_sampled": 2, "rejected": {}}
        stats = {
            "format_version": 1,
            "dataset": f"{name}1",
            "category": name,
            "source": {"repo": "some/where", "commit": "0" * 40, "files": []},
            "license": "mit",
            "license_kind": "open",
            "gated": False,
            "mashbill_version": "0.1.0",
            "catalog_checksum": "0" * 32,
            "render": "text",
            "take": {"rows_per_million": 1_000_000, "max_rows": None, "max_bytes": None},
            "completed_unix_s": 1_700_000_000 + target,
            "seconds": 2.5,
            "downloaded_bytes": 100,
            "reused_bytes": 0,
            "retries": 0,
            "counts": counts | {"jsonl_bytes": len(line), "text_bytes": 100, "chars": 100},
            "jsonl_checksum": xxhash.xxh3_128_hexdigest(line),
            "text_len": {"min": 100, "p50": 100, "p95": 100, "max": 100},
            "est_tokens": 25,
            "target_percent": target,
            "complete": True,
        }
        (data / name / f"{name}1.stats.json").write_text(json.dumps(stats), encoding="utf-8")
    html = workshop.fresh("report.html")
    workshop.command("report", data, "-o", html)
    chromium.open(html)
    assert chromium.complaints() == []
    assert chromium.value("document.querySelectorAll('#categories .target').length") == 2
    assert "70 %" in chromium.value("document.getElementById('categories').innerText")
    assert "30 %" in chromium.value("document.getElementById('datasets').innerText")
    assert chromium.drawn("timeline-chart") > 20
    assert "1 of 2 documents" in chromium.value("document.getElementById('duplicates').innerText")


def test_the_curriculums_targets_are_shown(workshop: Workshop, chromium: Browser) -> None:
    """Splits from the curriculum's categories are held against its shares, parted evenly within a category."""
    data = workshop.fresh("data")
    for category, name in (("code", "apps"), ("math_reasoning", "gsm8k"), ("math_reasoning", "metamath")):
        (data / category).mkdir(parents=True, exist_ok=True)
        record = json.dumps({"text": "x " * 100, "category": category})
        (data / category / f"{name}.jsonl").write_text(record + "\n", encoding="utf-8")
    out, html = workshop.fresh("out"), workshop.fresh("report.html")
    arguments = ("--recursive", "--tokenizer", "gpt2", "--max-seq-length", 64)
    workshop.command("tokenize", "--input", data, "--output", out, *arguments)
    workshop.command("report", out, "-o", html)
    chromium.open(html)
    assert chromium.value("document.querySelectorAll('#categories .target').length") == 2
    assert "25 %" in chromium.value("document.getElementById('categories').innerText")
    assert chromium.value("document.getElementById('datasets').innerText").count("10 %") == 2


def test_the_file_stays_small(page: tuple[str, Path]) -> None:
    _, html = page
    assert html.stat().st_size < 3_000_000


def test_chats_are_shown_with_what_is_learned(workshop: Workshop, chromium: Browser) -> None:
    folder = workshop.fresh("report-chats")
    folder.mkdir(parents=True)
    lines = [
        {
            "source": f"site {n % 3}",
            "conversations": [
                {"from": "human", "value": f"Question {n}?"},
                {"from": "gpt", "value": "Yes. " * (n % 5 + 1)},
            ]
            * (n % 4 + 1),
        }
        for n in range(60)
    ]
    lines.append({"messages": [{"role": "user", "content": "Nobody answers"}]})
    chats = folder / "chats.jsonl"
    chats.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    template = folder / "template.jinja"
    template.write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}")
    out = folder / "out"
    flags = ("--tokenizer", "gpt2", "--chat-template", template, "--max-seq-length", 64)
    workshop.command("tokenize", "--input", chats, "--output", out, *flags)
    for path, sections in (
        (out, ["learned", "learned-by-source", "changes", "rejects"]),
        (chats, ["roles", "turns", "changes"]),
    ):
        html = folder / "report.html"
        workshop.command("report", path, "-o", html)
        for width in WIDTHS:
            chromium.open(html, width)
            assert chromium.complaints() == []
            for name in sections:
                assert chromium.value(f"document.querySelectorAll('section#{name}').length") == 1, (path, name)
            assert chromium.value("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
            shown = chromium.value("document.getElementById('main').innerText")
            assert "undefined" not in shown and "NaN" not in shown
        if path == out:
            # What is underlined is what no one learns: questions, headers, and not the end of an answer.
            seen = "(one) => [one.textContent, one.classList.contains('masked')]"
            tokens = chromium.value(f"[...document.querySelectorAll('.token')].map({seen})")
            text = "".join(text if masked else f"[{text}]" for text, masked in tokens).replace("][", "")
            assert text.startswith("user: Question 0?<|endoftext|>assistant:[ Yes. <|endoftext|>]user: "), text
            manifest = json.loads((out / "manifest.json").read_text())
            learned = manifest["splits"]["chats"]["ledger"]["learned_tokens"]
            assert f"{learned:,}" in chromium.value("document.getElementById('learned').innerText")
        else:
            assert chromium.drawn("turns-chart") > 20
