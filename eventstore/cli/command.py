"""`eventstore command`: ask a decider of a running service."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventstore.cli.append import json_text
from eventstore.cli.asking import run
from eventstore.cli.options import JsonOption, UrlOption
from eventstore.cli.output import write_json
from eventstore.cli.target import DEFAULT_URL, Target, opened
from eventstore.core.errors import InvalidInput
from eventstore.postgres.schema import DEFAULT_SCHEMA

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
    as_json: JsonOption = False,
) -> None:
    """Send a command to a service that was started with --app, and print what it causes.

    \b
    eventstore command show Open '{"seats": 90}' --stream show-7
    eventstore command show Book '{"seats": 2, "by": "ada"}' --id 7 --command-id click-93
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
    target = Target(None, url or os.environ.get("EVENTSTORE_URL") or DEFAULT_URL, DEFAULT_SCHEMA)

    async def asked() -> CommandAnswer:
        async with opened(target) as store:
            client: Any = store  # a service's, by its target
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
            return answer

    answer = run(asked())
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
