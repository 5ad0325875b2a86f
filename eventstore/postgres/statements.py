"""The named statements of `queries/*.sql`, for the store's schema. One text for both drivers."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Final

from eventstore.postgres.schema import DEFAULT_SCHEMA, check_schema_name

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_SCHEMA: Final = re.compile(r"\beventstore(?=\.)")


@cache
def statements(schema: str = DEFAULT_SCHEMA) -> dict[str, str]:
    """Give every named statement, by name, with `$1`, `$2` ... as placeholders."""
    check_schema_name(schema)
    found: dict[str, str] = {}
    for file in resources.files("eventstore.postgres").joinpath("queries").iterdir():
        if not file.name.endswith(".sql"):
            continue
        _, *parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"two statements are named {name}")
            found[name] = _SCHEMA.sub(schema, text.strip().rstrip(";"))
    return found
