"""`eventstore import`: events from CSV and NDJSON files."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, NamedTuple

import typer

from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import counted, err, progress, write_json
from eventstore.cli.target import Target, opened
from eventstore.core.errors import EventStoreError
from eventstore.core.limits import Limits

if TYPE_CHECKING:
    from eventstore.cli.records import Lines
    from eventstore.cli.rows import Row

Format = Literal["csv", "ndjson"]
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


class Plan(NamedTuple):
    """What to read, and how its rows become events."""

    file: str
    format: Format
    source: str
    stream: str | None
    event_type: str | None
    time: str | None
    keep_columns: bool
    delimiter: str
    batch: int
    retry_for: float


def import_(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="- is standard input.")],
    stream: Annotated[
        str | None,
        typer.Option(metavar="TEMPLATE", help="CSV: e.g. 'order-{order id}'; {{ and }} are braces"),
    ] = None,
    event_type: Annotated[
        str | None,
        typer.Option("--type", metavar="COLUMN|TEMPLATE", help="CSV: e.g. activity, '{a} {b}'"),
    ] = None,
    time: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="CSV: goes to metadata as 'time'; recorded_at is the server's own",
        ),
    ] = None,
    keep_columns: Annotated[
        bool,
        typer.Option(
            "--keep-columns", help="CSV: keep the columns of --stream, --type, --time in the data."
        ),
    ] = False,
    delimiter: Annotated[str, typer.Option(metavar="CHAR", help="CSV: what is between.")] = ",",
    file_format: Annotated[
        str | None,
        typer.Option("--format", metavar="csv|ndjson", help="Default: by the file's suffix"),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Part of the ids of rows. Default: the file's name"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=10_000, help="Rows of one append.")] = 500,
    retry_for: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a lost service.")
    ] = 60,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append every row of a file, in its order.

    Each row's event id follows from source, line and content: run an
    interrupted import again, and it goes on where it was. NDJSON is what
    'eventstore export' writes; its ids are kept.

    \b
    eventstore import orders.csv --stream 'order-{no}' --type status --time at
    eventstore import a.csv --stream '{kind}-{case:concept:name}' --type '{a} {b}'
    eventstore import backup.ndjson
    zcat log.csv.gz | eventstore import - --format csv --source log.csv \\
        --stream 'order-{no}' --type status
    """
    if file != "-" and not Path(file).exists():
        raise EventStoreError(f"cannot read {file}: there is no such file")
    chosen = _format(file, file_format)
    if chosen == "csv" and (stream is None or event_type is None):
        raise typer.BadParameter("a CSV file needs --stream and --type: see --help")
    if chosen == "ndjson" and (stream or event_type or time or keep_columns):
        raise typer.BadParameter(
            "an NDJSON file has stream, type and data in every line: "
            "--stream, --type, --time and --keep-columns are for CSV"
        )
    if file == "-" and source is None and chosen == "csv":
        raise typer.BadParameter("standard input has no name: give one with --source")
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise typer.BadParameter("--delimiter is one character, not a quote or line break")
    plan = Plan(
        file,
        chosen,
        source or Path(file).name,
        stream,
        event_type,
        time,
        keep_columns,
        delimiter,
        batch,
        retry_for,
    )
    stored, already_there = _run(target_of(dsn, url, schema, data_dir), plan)
    if as_json:
        write_json({"stored": stored, "already_there": already_there})
    else:
        were = "was" if already_there == 1 else "were"
        typer.echo(f"stored {counted(stored, 'event')}, {already_there:,} {were} there already")


def _format(file: str, given: str | None) -> Format:
    found = _SUFFIXES.get(Path(file).suffix.lower() if given is None else f".{given}")
    if found is None:
        raise typer.BadParameter(f"say what {file} is: --format csv or --format ndjson")
    return found


def _run(target: Target, plan: Plan) -> tuple[int, int]:
    if plan.file == "-":
        return asyncio.run(_import(sys.stdin.buffer, None, target, plan))
    path = Path(plan.file)
    try:
        with path.open("rb") as file:
            return asyncio.run(_import(file, path.stat().st_size or None, target, plan))
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise EventStoreError(f"cannot read {plan.file}: {error.strerror}") from None


async def _import(file: BinaryIO, size: int | None, target: Target, plan: Plan) -> tuple[int, int]:
    from eventstore.cli.importing import GaveUpError, Importer  # noqa: PLC0415
    from eventstore.cli.records import Lines  # noqa: PLC0415
    from eventstore.cli.rows import batches  # noqa: PLC0415

    lines = Lines(file)
    async with opened(target) as store:
        await store.head()  # a service that is not there at all is not waited for
        with progress(f"importing {plan.source}", size) as advance:
            importer = Importer(
                store, retry_for=plan.retry_for, report=lambda text: err().print(text)
            )
            try:
                rows = _rows(lines, plan, store.limits)
                for batch in batches(rows, most=plan.batch):
                    await importer.send(batch)
                    advance(lines.size, importer.stored + importer.already_there)
            except EventStoreError as error:
                is_sure = not isinstance(error, GaveUpError)
                so_far = _so_far(importer.last_line, is_sure=is_sure)
                raise EventStoreError(f"{error}; {so_far}") from error
            except asyncio.CancelledError:  # Ctrl-C
                so_far = _so_far(importer.last_line, is_sure=False)
                err().print(f"eventstore: interrupted; {so_far}")
                raise
    return importer.stored, importer.already_there


def _rows(lines: Lines, plan: Plan, limits: Limits) -> Iterator[Row]:
    from eventstore.cli.records import CsvFile  # noqa: PLC0415
    from eventstore.cli.rows import Mapper, ndjson_rows  # noqa: PLC0415

    if plan.format == "ndjson":
        return ndjson_rows(lines, source=plan.source, limits=limits)
    file = CsvFile(lines, delimiter=plan.delimiter)
    mapper = Mapper.of(
        file.columns,
        stream=plan.stream or "",
        event_type=plan.event_type or "",
        time=plan.time,
        keep_columns=plan.keep_columns,
    )
    return (mapper.row(record, source=plan.source, limits=limits) for record in file)


def _so_far(last_line: int, *, is_sure: bool) -> str:
    """Say what is stored. Not sure: a batch was under way that was not answered."""
    if is_sure:
        done = f"everything up to line {last_line:,}" if last_line else "nothing"
        again = ": run the same command again to go on there" if last_line else ""
        return f"{done} is stored" + again
    done = f"everything up to line {last_line:,} and perhaps" if last_line else "perhaps"
    return f"{done} one batch more is stored: run the same command again to go on"
