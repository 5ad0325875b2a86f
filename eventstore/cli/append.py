"""`eventstore append`: one event."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import write_json
from eventstore.cli.target import Target, opened
from eventstore.core.append import Appended, EncodedAppend
from eventstore.core.errors import InvalidInput
from eventstore.core.events import EncodedEvent, encoded_event
from eventstore.core.jsontext import check_json_text
from eventstore.core.limits import DEFAULT_LIMITS
from eventstore.core.revisions import (
    ANY,
    NO_STREAM,
    STREAM_EXISTS,
    ExpectedRevision,
    revision_code,
)
from eventstore.core.streams import check_stream_name

_EXPECTATIONS: dict[str, ExpectedRevision] = {
    "any": ANY,
    "no-stream": NO_STREAM,
    "stream-exists": STREAM_EXISTS,
}


def append(
    stream: Annotated[
        str, typer.Argument(metavar="STREAM", help="e.g. order-42", show_default=False)
    ],
    event_type: Annotated[
        str, typer.Argument(metavar="TYPE", help="e.g. OrderPlaced", show_default=False)
    ],
    json_data: Annotated[
        str | None, typer.Argument(metavar="DATA", help="JSON. Default: {}", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="JSON|-|@FILE", help="DATA as an option, from standard input, or from a file."
        ),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="A JSON object.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="e.g. customer:7; may be repeated.")] = None,
    expect: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            help="any, no-stream, stream-exists, or the revision of the stream's last event.",
        ),
    ] = "any",
    event_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="Makes a retry the same append.")
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same, with any text instead of an id.")
    ] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Append one event, and print where it is.

    \b
    eventstore append order-1 OrderPlaced '{"total": 12}'
    eventstore append order-1 OrderPaid --expect 0 --tag customer:7
    eventstore append order-1 NoteAdded --data @note.json --idempotency-key n17
    date +'"%F"' | eventstore append clock Ticked --data -
    """
    if json_data is not None and data is not None:
        raise typer.BadParameter("give DATA or --data, not both")
    try:
        encoded = EncodedAppend(
            check_stream_name(stream),
            revision_code(expectation(expect)),
            (_event(event_type, data or json_data, metadata, event_id, tag or []),),
        )
    except InvalidInput as fault:
        raise typer.BadParameter(str(fault)) from None
    target = target_of(dsn, url, schema, data_dir)
    appended = asyncio.run(_append(target, encoded, idempotency_key))
    if as_json:
        write_json(_facts(appended))
    else:
        note = " (it was there already)" if appended.replayed else ""
        typer.echo(f"position {appended.position}, revision {appended.revision}{note}")


def expectation(text: str) -> ExpectedRevision:
    """Read --expect. Raises InvalidInput."""
    known = _EXPECTATIONS.get(text.replace("_", "-"))
    if known is not None:
        return known
    if not text.isdecimal():
        raise InvalidInput(f"--expect is any, no-stream, stream-exists or a revision: {text!r}")
    return int(text)


def _event(
    event_type: str,
    data: str | None,
    metadata: str | None,
    event_id: str | None,
    tags: list[str],
) -> EncodedEvent:
    metadata_text = json_text(metadata, "--metadata")
    if metadata_text[0] != "{":
        raise InvalidInput("--metadata is a JSON object")
    return encoded_event(
        event_type,
        json_text(data, "DATA"),
        metadata_text,
        event_id,
        tags,
        path="",
        limits=DEFAULT_LIMITS,
    )


def json_text(given: str | None, what: str) -> str:
    """Give JSON text as it was typed, or as `-` (standard input) or `@file` has it."""
    if given is None:
        return "{}"
    if given == "-":
        raw = sys.stdin.buffer.read()
    elif given.startswith("@"):
        try:
            raw = Path(given[1:]).read_bytes()
        except OSError as error:
            raise InvalidInput(f"{what}: cannot read {given[1:]}: {error.strerror}") from None
    else:
        raw = given.encode(errors="surrogateescape")
    import msgspec  # noqa: PLC0415

    try:
        text = raw.decode("utf-8-sig").strip()  # some editors begin a file with a mark
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise InvalidInput(
            f"{what} is not JSON ({fault}); quote it for the shell: '{{\"total\": 12}}'"
        ) from None
    check_json_text(text, path=what)
    return text


async def _append(target: Target, encoded: EncodedAppend, idempotency_key: str | None) -> Appended:
    async with opened(target) as store:
        request = store.request([encoded], idempotency_key=idempotency_key)
        return (await store.append_request(request))[0]


def _facts(appended: Appended) -> dict[str, object]:
    return {
        "stream": appended.stream_name,
        "first_revision": appended.first_revision,
        "revision": appended.revision,
        "position": appended.position,
        "event_ids": appended.event_ids,
        "replayed": appended.replayed,
    }
