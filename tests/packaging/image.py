"""The image without an engine: what docker/Dockerfile says, and its steps in a folder.

`python -m tests.packaging.image ROOT` goes through them. ROOT stands for `/`; commands run in this
environment instead of the base image; the user is not made.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

CHECKOUT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = CHECKOUT / "docker" / "Dockerfile"
_OURS: Final = re.compile(r"(?<![\w./@])/(?=(opt|src|srv|var|wheel)\b)")
_INHERITED: Final = "/usr/local/bin:/usr/bin:/bin"


class Step(NamedTuple):
    """An instruction of a Dockerfile."""

    name: str
    text: str


class Image(NamedTuple):
    """What a container of the image runs with."""

    root: Path
    user: str
    workdir: str
    env: dict[str, str]
    entrypoint: list[str]
    cmd: list[str]

    def inside(self, text: str) -> str:
        """Give a text with the image's own paths as they are below the root."""
        return _OURS.sub(f"{self.root}/", text)


def stages(text: str) -> list[list[Step]]:
    """Read a Dockerfile: the steps of each stage, FROM first."""
    found: list[list[Step]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(" ")
        if name == "FROM":
            found.append([])
        found[-1].append(Step(name, rest.strip()))
    return found


def image(root: Path) -> Image:
    """Read what the last stage says of its containers."""
    last = stages(DOCKERFILE.read_text(encoding="utf-8"))[-1]
    said = {step.name: step.text for step in last}
    words = [word for step in last if step.name == "ENV" for word in shlex.split(step.text)]
    env = {name: value for name, _, value in (word.partition("=") for word in words)}
    env["PATH"] = env["PATH"].replace("$PATH", _INHERITED)
    return Image(
        root,
        said["USER"],
        said["WORKDIR"],
        env,
        json.loads(said["ENTRYPOINT"]),
        json.loads(said["CMD"]),
    )


def build(root: Path, *, until: str = "") -> None:
    """Go through the steps of every stage, up to a RUN that begins with `until`, and that one."""
    for steps in stages(DOCKERFILE.read_text(encoding="utf-8")):
        workdir = root
        for step in steps:
            match step.name:
                case "WORKDIR":
                    workdir = Path(_OURS.sub(f"{root}/", step.text))
                    workdir.mkdir(parents=True, exist_ok=True)
                case "COPY":
                    _copy(root, workdir, step.text)
                case "RUN" if not step.text.startswith("useradd "):
                    _run(_OURS.sub(f"{root}/", step.text), workdir)
                    if until and step.text.startswith(until):
                        return


def _copy(root: Path, workdir: Path, text: str) -> None:
    *sources, target = text.split()
    if sources[0].startswith("--from="):
        # All stages share the root, so that it is there already, where it has to stay.
        assert sources[1:] == [target], text
        assert Path(_OURS.sub(f"{root}/", target)).exists(), text
        return
    for source in sources:
        to = workdir / _OURS.sub(f"{root}/", target)
        if (CHECKOUT / source).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / source, to, ignore=ignored)
        else:
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / source, to)


def _run(command: str, workdir: Path) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=workdir,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


if __name__ == "__main__":
    build(Path(sys.argv[1]).absolute())
    print("every step of the Dockerfile went through")
