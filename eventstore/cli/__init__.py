"""The command line: `eventstore`. One command a file; heavy modules are imported inside them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from eventstore.cli.append import append
from eventstore.cli.bench import bench
from eventstore.cli.command import command
from eventstore.cli.consumers import consumers_app
from eventstore.cli.demo import demo
from eventstore.cli.doctor import doctor
from eventstore.cli.export import export
from eventstore.cli.hints import in_commands
from eventstore.cli.import_ import import_
from eventstore.cli.migrate import migrate_app
from eventstore.cli.projections import projections_app
from eventstore.cli.psql import psql
from eventstore.cli.read import read
from eventstore.cli.serve import serve
from eventstore.cli.streams import streams
from eventstore.cli.tail import tail
from eventstore.cli.target import DEFAULT_URL, hide_passwords
from eventstore.cli.verify import verify
from eventstore.cli.worker import worker
from eventstore.core.errors import EventStoreError


class Commands(TyperGroup):
    """Turns every expected error into one line on standard error and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EventStoreError as error:
            typer.echo(f"eventstore: {hide_passwords(in_commands(str(error)))}", err=True)
            raise typer.Exit(1) from error


app = typer.Typer(
    cls=Commands,
    name="eventstore",
    help="A PostgreSQL-native event store.\n\n"
    "Start one with 'eventstore serve'; the other commands talk to it, or, with --dsn, "
    "to the database itself.\n\n"
    "All of them find the store by one rule: what the command line names (--url, --dsn, "
    "--data-dir), else the environment (EVENTSTORE_DSN, EVENTSTORE_URL, EVENTSTORE_DATA_DIR), "
    f"else the service that runs on the data directory, else {DEFAULT_URL}. Names in the "
    "environment that are two stores are refused.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they print local variables, and a DSN among them
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve)
app.command()(worker)
app.command()(demo)
app.command()(append)
app.command()(command)
app.command()(read)
app.command()(tail)
app.command()(streams)
app.command(name="import")(import_)
app.command()(export)
app.command()(verify)
app.command()(doctor)
app.add_typer(migrate_app)
app.add_typer(projections_app)
app.add_typer(consumers_app)
app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(psql)
app.command(
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
)(bench)


def main() -> None:
    """Run the command line: the console script `eventstore`."""
    app(prog_name="eventstore")
