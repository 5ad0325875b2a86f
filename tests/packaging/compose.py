"""docker/compose.yaml, and the schema that the Compose specification comes with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.packaging.image import CHECKOUT

FILE: Final = CHECKOUT / "docker" / "compose.yaml"
SCHEMA: Final = Path(__file__).parent / "compose-spec" / "compose-spec.json"
VARIABLE: Final = re.compile(r"\$\{([A-Z_]+):\?[^}]*\}")
"""A variable that has to be set: the only kind that is used."""


def model() -> dict[str, Any]:
    """Give the file as it is."""
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return loaded


def schema() -> dict[str, Any]:
    """Give the JSON schema of the Compose specification."""
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def filled(text: str, variables: Mapping[str, str]) -> str:
    """Put values in the place of variables."""
    return VARIABLE.sub(lambda match: variables[match[1]], text)
