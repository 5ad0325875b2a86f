"""`eventstore bench`: the benchmarks, each against its own limit on this machine."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

import eventstore
from eventstore.core.errors import EventStoreError


class Benchmark(NamedTuple):
    """A module with a `main(argv)`, and the first line of what it says of itself."""

    name: str
    module: str
    summary: str


def bench(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which; its own options follow.", show_default=False),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Say which there are.")] = False,
) -> None:
    """Run a benchmark. Each prints one table, and measures its limit in the same run.

    \b
    eventstore bench --list
    eventstore bench append_library
    eventstore bench append_library --help
    """
    found = {benchmark.name: benchmark for benchmark in benchmarks()}
    if listing or name is None:
        width = max(map(len, found), default=0)
        for benchmark in found.values():
            typer.echo(f"{benchmark.name:<{width}}  {benchmark.summary}")
        return
    if name not in found:
        raise typer.BadParameter(f"no benchmark {name!r}; there are: {', '.join(found) or 'none'}")
    main = importlib.import_module(found[name].module).main
    raise typer.Exit(main(ctx.args) or 0)


def benchmarks() -> list[Benchmark]:
    """Find the benchmarks: in the wheel, else in the checkout."""
    package = Path(eventstore.__file__).parent
    packaged, checkout = package / "_benchmarks", package.parent / "benchmarks"
    if packaged.is_dir():
        return list(_in(packaged, "eventstore._benchmarks"))
    if checkout.is_dir():
        if str(checkout.parent) not in sys.path:
            sys.path.insert(0, str(checkout.parent))
        return list(_in(checkout, "benchmarks"))
    raise EventStoreError(f"no benchmarks at {packaged} or {checkout}: install eventstore again")


def _in(folder: Path, package: str) -> Iterator[Benchmark]:
    for path in sorted(folder.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            summary = (ast.get_docstring(tree) or "").partition("\n")[0]
            yield Benchmark(path.stem, f"{package}.{path.stem}", summary)
