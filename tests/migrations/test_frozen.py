"""Frozen files stay as they are, and the newest revision is the one that the code needs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from eventstore.postgres.schema import REQUIRED_REVISION, migrations_dir
from tests.migrations import manifest
from tests.migrations.manifest import MIGRATIONS, committed, sums


def versions() -> list[Path]:
    return sorted(MIGRATIONS.glob("versions/*.py"))


def test_frozen_files_are_as_the_manifest_says() -> None:
    # A file that a release has run is never edited: put it back and add a migration. A new file,
    # or one that no release has run: python -m tests.migrations.manifest --unreleased
    assert sums() == committed()


def test_a_changed_frozen_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sql").mkdir()
    file = tmp_path / "sql" / "0001.sql"
    file.write_text("SELECT 1;")
    monkeypatch.setattr(manifest, "MIGRATIONS", tmp_path)
    monkeypatch.setattr(manifest, "MANIFEST", tmp_path / "sql" / "MANIFEST.sha256")
    manifest.write(unreleased=False)
    (tmp_path / "sql" / "0002.sql").write_text("SELECT 2;")
    manifest.write(unreleased=False)
    file.write_text("SELECT 3;")
    with pytest.raises(SystemExit, match=r"sql/0001\.sql; put them back"):
        manifest.write(unreleased=False)
    manifest.write(unreleased=True)
    assert manifest.committed() == manifest.sums()
    assert len(manifest.committed()) == 2


def test_the_code_needs_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("prepend_sys_path", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    assert ScriptDirectory.from_config(config).get_heads() == [REQUIRED_REVISION]
    assert versions()[-1].name.startswith(f"{REQUIRED_REVISION}_")


def test_revisions_are_numbered_in_order() -> None:
    numbers = [path.name[:4] for path in versions()]
    assert numbers == [f"{n:04}" for n in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("path", versions(), ids=lambda path: path.stem)
def test_a_migration_only_runs_frozen_files(path: Path) -> None:
    module = ast.parse(path.read_text(encoding="utf-8"))
    [upgrade] = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    assert upgrade.name == "upgrade"
    for statement in upgrade.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        assert isinstance(call, ast.Call), ast.unparse(statement)
        assert ast.unparse(call.func) == "run_file"
        [name] = [ast.literal_eval(argument) for argument in call.args]
        assert (MIGRATIONS / "sql" / name).is_file()


def test_every_frozen_file_is_run() -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in [*versions(), MIGRATIONS / "env.py"]
    )
    files = [name.removeprefix("sql/") for name in sums() if name.endswith(".sql")]
    assert [name for name in files if f'"{name}"' not in text] == []


def test_the_migrations_are_found_in_the_checkout() -> None:
    assert (migrations_dir() / "env.py").is_file()
