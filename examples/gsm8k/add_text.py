"""Adds a `text` field to each record of a GSM8K file, made of its question and answer.

python3 add_text.py INPUT.jsonl OUTPUT.jsonl
"""

import json
import sys
from pathlib import Path


def text_of(record: dict[str, str]) -> str:
    """The text that a model is to learn from one record."""
    return f"Question: {record['question']}\nAnswer: {record['answer']}"


def main(source: Path, target: Path) -> None:
    """Writes every record of `source` to `target`, in order, with its text and where it came from."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8", newline="\n") as out:
        for number, line in enumerate(lines):
            record = json.loads(line)
            labels = {"id": f"{target.stem}/{number}", "source": "gsm8k", "category": "math"}
            out.write(json.dumps(record | {"text": text_of(record)} | labels, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
