"""Chat templates as they are published: those that TRL and axolotl ship, and TRL's patched ones for training."""

from pathlib import Path

from cases import REPOSITORY

FOLDER = REPOSITORY / ".venv" / "templates"


def templates() -> dict[str, str]:
    """All of them, by where they stand."""
    found = sorted(FOLDER.rglob("*.jinja"))
    assert found, f"{FOLDER} has no templates: test.sh installs them from tests/python/templates.lock"
    return {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in found}


def twins() -> dict[str, tuple[str, str]]:
    """By name, templates of TRL with those in their places for training: the same with `generation` blocks."""
    found = {}
    for path in sorted((FOLDER / "trl" / "chat_templates").glob("*_training.jinja")):
        original = Path(str(path).replace("_training", ""))
        if original.is_file():
            found[original.stem] = (original.read_text(encoding="utf-8"), path.read_text(encoding="utf-8"))
    assert len(found) > 20
    return found
