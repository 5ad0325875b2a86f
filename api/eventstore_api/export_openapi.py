"""Write the API description to `api/openapi.json`, or compare it: `--check`.

`python -m eventstore_api.export_openapi [--check]`
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from eventstore import EventStore
from eventstore_api.app import make_api

OPENAPI_FILE: Final = Path(__file__).parents[1] / "openapi.json"


def openapi_text() -> str:
    """Give the description as text: the same for the same code, members in order of name."""
    # A store that is never opened: the description asks nothing of the database.
    description = make_api(EventStore("")).openapi()
    return json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file, or say whether it is up to date."""
    parser = argparse.ArgumentParser(prog="python -m eventstore_api.export_openapi")
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it would change")
    text = openapi_text()
    if not parser.parse_args().check:
        OPENAPI_FILE.write_text(text, encoding="utf-8")
        return 0
    if OPENAPI_FILE.is_file() and OPENAPI_FILE.read_text(encoding="utf-8") == text:
        return 0
    command = "python -m eventstore_api.export_openapi"
    sys.stderr.write(f"{OPENAPI_FILE} is not what the code describes; run: {command}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
