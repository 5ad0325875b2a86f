"""The manifest of frozen files: what a release has run is never edited, only added to.

`python -m tests.migrations.manifest` adds new files to it and refuses changed ones;
`--unreleased` takes over changed ones too, for files that no release has run yet.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"
MANIFEST: Final = MIGRATIONS / "sql" / "MANIFEST.sha256"
GENERATED: Final = {"MANIFEST.sha256", "schema.sql"}


def frozen_files() -> list[Path]:
    """Give every file that migrations run, and the migrations themselves."""
    found = [*MIGRATIONS.glob("sql/**/*"), *MIGRATIONS.glob("versions/*.py")]
    return sorted(path for path in found if path.is_file() and path.name not in GENERATED)


def sums() -> dict[str, str]:
    """Give the SHA-256 of every frozen file, by its path below `migrations`."""
    return {
        path.relative_to(MIGRATIONS).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in frozen_files()
    }


def committed() -> dict[str, str]:
    """Read the manifest: lines as `sha256sum` writes and checks them."""
    if not MANIFEST.exists():
        return {}
    pairs = [line.split("  ", 1) for line in MANIFEST.read_text(encoding="utf-8").splitlines()]
    return {name: digest for digest, name in pairs}


def write(*, unreleased: bool) -> None:
    """Bring the manifest up to date, or say which frozen files have been changed."""
    now, before = sums(), committed()
    changed = sorted(name for name in before if now.get(name) != before[name])
    if changed and not unreleased:
        sys.exit(
            f"frozen files have been changed or removed: {', '.join(changed)}; put them back and "
            "add a new migration (or, if no release has run them yet, give --unreleased)"
        )
    lines = [f"{digest}  {name}\n" for name, digest in sorted(now.items())]
    MANIFEST.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(unreleased="--unreleased" in sys.argv[1:])
