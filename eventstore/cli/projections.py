"""`eventstore projections`: what operators do with projections."""

from __future__ import annotations

import typer

from eventstore.cli.rebuild import drop, rebuild, switch

projections_app = typer.Typer(name="projections", no_args_is_help=True, add_completion=False)
projections_app.command()(rebuild)
projections_app.command()(switch)
projections_app.command()(drop)


@projections_app.callback()
def projections() -> None:
    """Operate projections: build new versions of them, and let these serve."""
