"""Documents name what is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_a_document_names_is_there() -> None:
    documents = [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    named = {
        path
        for document in documents
        for path in re.findall(r"`(tests/[\w/]+(?:\.py)?)`", document.read_text(encoding="utf-8"))
    }
    assert len(named) > 50
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
