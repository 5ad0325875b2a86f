"""`eventstore consumers receive`, `ack`, `nack`, `replay` and `drop`: deliveries by hand."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Annotated

import typer

from eventstore.cli.asking import ask
from eventstore.cli.options import (
    DataDirOption,
    DsnOption,
    JsonOption,
    SchemaOption,
    UrlOption,
    target_of,
)
from eventstore.cli.output import EventLines, out, write_line
from eventstore.core.delivery import ACTIONS, Action
from eventstore.core.times import time_text

if TYPE_CHECKING:
    from eventstore.core.delivery import Delivery, Settled

GroupArgument = Annotated[str, typer.Argument(metavar="NAME", help="The consumer group.")]
IdsArgument = Annotated[
    list[str],
    typer.Argument(metavar="DELIVERY...", help="As receive gave them."),
]
StreamOption = Annotated[str | None, typer.Option(help="What is parked of this stream.")]
PositionOption = Annotated[
    list[int] | None, typer.Option(min=1, help="The event at this position; may be repeated.")
]


def receive(
    name: GroupArgument,
    most: Annotated[int, typer.Option("--max", help="How many at most.")] = 10,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="For the first.")] = 0.0,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Receive the next deliveries: they are yours until their lease ends. Settle each by its id.

    \b
    eventstore consumers receive emails
    eventstore consumers receive emails --max 1 --wait 30 --json
    """
    target = target_of(dsn, url, schema, data_dir)
    found = ask(target, lambda store: store.consumers.receive(name, most, wait=wait))
    lines = EventLines()
    for delivery in found:
        if as_json:
            write_line(_delivery_json(delivery))
        else:
            until = delivery.leased_until.astimezone(UTC)
            lease = f"{delivery.id:<10} attempt {delivery.attempt}, until {until:%H:%M:%S}Z"
            line = lines.line(delivery.event)
            out().print(lease, line, no_wrap=True, overflow="ignore", crop=False)
    if not found and not as_json:
        out().print("nothing to deliver now")


def ack(
    name: GroupArgument,
    deliveries: IdsArgument,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Say that deliveries are done. Exit code 1: the lease of one of them had ended.

    \b
    eventstore consumers ack emails 17-1795478549149026
    """
    _tell(
        ask(
            target_of(dsn, url, schema, data_dir),
            lambda store: store.consumers.ack(name, deliveries),
        )
    )


def nack(
    name: GroupArgument,
    deliveries: IdsArgument,
    action: Annotated[str, typer.Option(metavar="ACTION", help=", ".join(ACTIONS))] = "retry",
    delay: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Of a retry. Default: the backoff")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever looks at it.")] = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Say that deliveries are not done: retry, park, skip or release them.

    \b
    eventstore consumers nack emails 17-1795478549149026
    eventstore consumers nack emails 17-1795478549149026 --action park
    """
    if action not in ACTIONS:
        raise typer.BadParameter(f"--action is one of {', '.join(ACTIONS)}")
    chosen: Action = action  # type: ignore[assignment]
    _tell(
        ask(
            target_of(dsn, url, schema, data_dir),
            lambda store: store.consumers.nack(
                name, deliveries, chosen, delay=delay, reason=reason
            ),
        )
    )


def replay(
    name: GroupArgument,
    stream: StreamOption = None,
    position: PositionOption = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is parked.")] = False,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Deliver parked events again, in order; what they hold back follows.

    \b
    eventstore consumers replay emails --all
    eventstore consumers replay emails --stream order-4
    """
    if everything is not (stream is None and not position):
        raise typer.BadParameter("give --stream or --position, or --all")
    count = ask(
        target_of(dsn, url, schema, data_dir),
        lambda store: store.consumers.replay(name, stream, positions=position or None),
    )
    out().print(f"{count} delivered again")


def drop(
    name: GroupArgument,
    stream: StreamOption = None,
    position: PositionOption = None,
    url: UrlOption = None,
    dsn: DsnOption = None,
    schema: SchemaOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Leave parked events out for good; what they hold back goes on.

    \b
    eventstore consumers drop emails --stream order-4
    eventstore consumers drop emails --position 17
    """
    if stream is None and not position:
        raise typer.BadParameter("give --stream or --position")
    count = ask(
        target_of(dsn, url, schema, data_dir),
        lambda store: store.consumers.drop(name, stream, positions=position or None),
    )
    out().print(f"{count} left out")


def _tell(settled: Settled) -> None:
    parked = f", {settled.parked} of them parked" if settled.parked else ""
    out().print(f"{settled.settled} settled{parked}")
    if settled.lost:
        typer.echo(f"not yours any more: {', '.join(settled.lost)}", err=True)
        raise typer.Exit(1)


def _delivery_json(delivery: Delivery) -> str:
    from eventstore.client.wire import encode_event  # noqa: PLC0415

    return (
        f'{{"id":"{delivery.id}","attempt":{delivery.attempt},'
        f'"leased_until":"{time_text(delivery.leased_until)}",'
        f'"event":{encode_event(delivery.event)}}}'
    )
