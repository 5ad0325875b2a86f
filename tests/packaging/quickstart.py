"""Runs the README: its `sh` and `python` blocks, in order, against a service that it starts.

`python -m tests.packaging.quickstart BIN_DIR DATA_DIR` does it with the programs of an installed
environment. A block with a file's name behind the language (```python shop.py) is written to
that file, ```sh worker goes on in the background until the end, and blocks with other words there
(```sh install) are not run.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

README = Path(__file__).parents[2] / "README.md"
DEFAULT_URL = "http://127.0.0.1:2113"
_BLOCK = re.compile(
    r"^```(sh|python)(?: (worker|[a-z_]+\.py))?\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
_RUN_TESTS = """
import {module}
tests = [test for name, test in vars({module}).items() if name.startswith("test_")]
assert tests
for test in tests:
    test()
"""
START_TIMEOUT = 60


class Block(NamedTuple):
    """A block of code: its language, the file or `worker` named behind it, and the code."""

    language: str
    name: str
    code: str


def blocks(text: str) -> list[Block]:
    """Give the blocks of a Markdown text that are run, or written to a file."""
    return [Block(match[1], match[2] or "", match[3]) for match in _BLOCK.finditer(text)]


@contextlib.contextmanager
def worker(code: str, *, env: dict[str, str], cwd: Path) -> Iterator[None]:
    """Run a block in the background, from the moment that its worker says what it runs."""
    command = ["bash", "-c", f"exec {code}"]
    process = subprocess.Popen(command, env=env, cwd=cwd, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    lines: list[str] = []
    try:
        for line in process.stderr:
            lines.append(line)
            if " now runs " in line:
                break
        else:
            raise AssertionError("the worker ended at once:\n" + "".join(lines))
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_TIMEOUT)
    assert process.returncode == 0, f"the worker ended with {process.returncode}"


@contextlib.contextmanager
def service(bin_dir: Path, data_dir: Path) -> Iterator[str]:
    """Run `eventstore serve` on a free port; give its URL; end it in order."""
    process = subprocess.Popen(
        [bin_dir / "eventstore", "serve", "--port", "0", "--data-dir", data_dir],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stdout:
            lines.append(line)
            if " at http://" in line:
                break
        else:
            raise AssertionError("eventstore serve ended at once:\n" + "".join(lines))
        yield json.loads((data_dir / "service.json").read_text())["url"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=START_TIMEOUT)
    assert process.returncode == 0, f"eventstore serve ended with {process.returncode}"


def run_block(
    language: str, code: str, *, url: str, bin_dir: Path, env: dict[str, str], cwd: Path
) -> str:
    """Run one block; give what it printed. Raises if it fails."""
    code = code.replace(DEFAULT_URL, url)
    if language == "sh":
        command = ["bash", "-euo", "pipefail", "-c", code]
    else:
        command = [str(bin_dir / "python"), "-c", code]
    done = subprocess.run(
        command, env=env, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode != 0:
        raise AssertionError(
            f"this block of the README fails with {done.returncode}:\n{code}\n"
            f"{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def run_readme(bin_dir: Path, data_dir: Path) -> dict[str, Any]:
    """Run every block; give the service's description afterwards."""
    with service(bin_dir, data_dir) as url, tempfile.TemporaryDirectory() as folder:
        env = {
            **{key: text for key, text in os.environ.items() if not key.startswith("EVENTSTORE_")},
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "EVENTSTORE_DATA_DIR": str(data_dir),
        }
        run = functools.partial(run_block, url=url, bin_dir=bin_dir, env=env, cwd=Path(folder))
        outputs = []
        with contextlib.ExitStack() as background:
            for language, name, code in blocks(README.read_text(encoding="utf-8")):
                if name == "worker":
                    background.enter_context(worker(code, env=env, cwd=Path(folder)))
                elif name:
                    assert code.startswith(f"# {name}\n"), f"{name} does not show its name"
                    (Path(folder) / name).write_text(code, encoding="utf-8")
                    if name.startswith("test_"):
                        tests = _RUN_TESTS.format(module=name.removesuffix(".py"))
                        run("python", tests)
                else:
                    outputs.append(run(language, code))
        assert "HTTP/1.1 201" in outputs[0], outputs[0]
        assert "someone was faster: 0" in outputs[1], outputs[1]
        assert any('"reached":true' in output for output in outputs), outputs
        with urllib.request.urlopen(url) as answer:  # noqa: S310 - our own service
            root: dict[str, Any] = json.load(answer)
        return root


def main() -> None:
    """Run the README with the programs in a folder."""
    bin_dir, data_dir = map(Path, sys.argv[1:3])
    try:
        root = run_readme(bin_dir, data_dir)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)
    print(f"every block of the README ran; the head is {root['head']}")


if __name__ == "__main__":
    main()
