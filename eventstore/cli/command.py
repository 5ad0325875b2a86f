"""`eventstore command`: ask a decider of a running service."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventstore.cli.append import json_text
from eventstore.cli.asking import run
from eventstore.cli.options import DataDirOption, JsonOption, UrlOption
from eventstore.cli.output import write_json
from eventstore.cli.target import opened
from eventstore.cli.where import resolve_service
from eventstore.core.errors import CommandRefused, EventStoreError, InvalidInput

if TYPE_CHECKING:
    from eventstore.client import CommandAnswer


def command(
    decider: Annotated[
        str, typer.Argument(metavar="DECIDER", help="e.g. order", show_default=False)
    ],
    name: Annotated[
        str, typer.Argument(metavar="COMMAND", help="e.g. PlaceOrder", show_default=False)
    ],
    json_data: Annotated[
        str, typer.Argument(metavar="DATA", help="JSON, '-' or @FILE.", show_default=False)
    ] = "{}",
    stream: Annotated[str | None, typer.Option(help="The stream's whole name.")] = None,
    entity_id: Annotated[
        str | None, typer.Option("--id", help="Or what is behind its category.")
    ] = None,
    command_id: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Makes a retry the same command: any text of yours."),
    ] = None,
    metadata: Annotated[
        str | None, typer.Option(metavar="JSON|@FILE", help="A JSON object, for every event.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="For every event; may be repeated.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a command to a service that was started with --app, and print what it causes.

    \b
    eventstore command show Open '{"seats": 90}' --stream show-7
    eventstore command show Book @book.json --id 7 --command-id click-93

    One that is refused ends with exit code 1; with --json the reason and its
    details are printed as the service gives them.
    """
    try:
        data = json.loads(json_text(json_data, "DATA"))
        headers = json.loads(json_text(metadata, "--metadata"))
        if not isinstance(headers, dict):
            raise InvalidInput("--metadata is a JSON object")
        if (stream is None) == (entity_id is None):
            raise InvalidInput("give --stream, a name, or --id, what is behind its category")
    except InvalidInput as fault:
        raise typer.BadParameter(str(fault)) from None
    target = resolve_service(url, data_dir, os.environ)

    async def asked() -> CommandAnswer:
        async with opened(target) as store:
            client: Any = store  # a service's, by its target
            try:
                answer: CommandAnswer = await client.command(
                    decider,
                    name,
                    data,
                    stream=stream,
                    entity_id=entity_id,
                    command_id=command_id,
                    tags=tag or (),
                    metadata=headers,
                )
            except CommandRefused:
                if await _is_doubled(client, decider, entity_id):
                    _tell_doubled(str(entity_id))
                raise
            is_new = answer.revision is not None and answer.revision < len(answer.events)
            if is_new and answer.stream_name == _doubled(entity_id):
                _tell_doubled(str(entity_id))
            return answer

    try:
        answer = run(asked())
    except CommandRefused as refused:
        if as_json:
            write_json(_problem(refused))
        details = f" {json.dumps(refused.details, ensure_ascii=False)}" if refused.details else ""
        raise EventStoreError(f"{refused}{details}") from refused
    if as_json:
        write_json(_facts(answer))
        return
    if answer.appended is None:
        typer.echo(f"{answer.stream_name}: nothing happens")
        return
    note = " (it was handled before)" if answer.replayed else ""
    for number, event in enumerate(answer.events):
        text = json.dumps(event.data, ensure_ascii=False)
        position = answer.position - len(answer.events) + 1 + number
        typer.echo(f"{position}  {answer.stream_name}  {event.event_type}  {text}{note}")


def _doubled(entity_id: str | None) -> str | None:
    """Give the stream of an id that has the category in front already, `book-book-30`."""
    category, dash, _ = (entity_id or "").partition("-")
    return f"{category}-{entity_id}" if dash else None


async def _is_doubled(client: Any, decider: str, entity_id: str | None) -> bool:
    """Tell whether an id was meant as a stream's name, so that the command met a new stream."""
    stream = _doubled(entity_id)
    if stream is None or await client.stream_head(stream) is not None:
        return False
    return stream.startswith(f"{decider}-") or await client.stream_head(entity_id) is not None


def _tell_doubled(entity_id: str) -> None:
    category, _, rest = entity_id.partition("-")
    typer.echo(
        f"eventstore: there was no stream {category}-{entity_id}: --id is without the category: "
        f"--id {rest}, or --stream {entity_id}",
        err=True,
    )


def _problem(refused: CommandRefused) -> dict[str, object]:
    return {
        "type": "urn:eventstore:problem:command-refused",
        "title": "The decider refuses the command",
        "status": 422,
        "detail": str(refused),
        **refused.facts,
    }


def _facts(answer: CommandAnswer) -> dict[str, object]:
    return {
        "stream": answer.stream_name,
        "revision": answer.revision,
        "position": answer.position,
        "events": [
            {"id": str(one.event_id), "type": one.event_type, "data": one.data}
            for one in answer.events
        ],
        "replayed": answer.replayed,
    }
