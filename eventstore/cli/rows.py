"""Rows of a file as events: pure, so that the same file gives the same events every time."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec

from eventstore.cli.records import Record, RowError
from eventstore.cli.template import (
    EmptyColumnError,
    Template,
    check_columns,
    column_or_template,
    parse_template,
)
from eventstore.core.append import EncodedAppend
from eventstore.core.errors import InvalidInput
from eventstore.core.events import EncodedEvent, encoded_event
from eventstore.core.jsontext import check_json_text, encode_json
from eventstore.core.limits import Limits
from eventstore.core.revisions import ANY
from eventstore.core.streams import check_stream_name

BATCH_BYTES: Final = 4 << 20
"""A batch is closed when it has this much JSON text, well below what one append may have."""
_ROW_NAMESPACE: Final = uuid.UUID("0193b6a8-41d7-7c06-a3f5-92d4e6b81c70")
_EMPTY: Final = msgspec.Raw(b"{}")
_sorted_json: Final = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":")
).encode


class Row(NamedTuple):
    """An event of a file: the line it is on, its stream, and the event with its id."""

    line: int
    stream_name: str
    event: EncodedEvent


class Mapper(NamedTuple):
    """How the columns of a CSV file become a stream, a type, a time and data."""

    stream: Template
    event_type: Template
    time: str | None
    left_out: frozenset[str]

    @classmethod
    def of(
        cls,
        columns: Sequence[str],
        *,
        stream: str,
        event_type: str,
        time: str | None = None,
        keep_columns: bool = False,
    ) -> Mapper:
        """Read the options of an import against a file's columns. Raises InvalidInput."""
        streams = parse_template(stream)
        types = column_or_template(event_type, columns)
        named = [*streams.columns, *types.columns, *([] if time is None else [time])]
        check_columns(named, columns)
        return cls(streams, types, time, frozenset(() if keep_columns else named))

    def row(self, record: Record, *, source: str, limits: Limits) -> Row:
        """Give a record as an event. Raises RowError with its line and column."""
        line, values = record
        stream_name = _filled(self.stream, record, "the stream has no name")
        event_type = _filled(self.event_type, record, "the event has no type")
        data = {name: value for name, value in values.items() if name not in self.left_out}
        try:
            return Row(
                line,
                check_stream_name(stream_name),
                encoded_event(
                    event_type,
                    encode_json(data, path="data"),
                    "{}" if self.time is None else encode_json({"time": values[self.time]}),
                    row_id(source, line, canonical(values)),
                    (),
                    path="",
                    limits=limits,
                ),
            )
        except InvalidInput as fault:
            raise RowError(line, str(fault).removeprefix(".type: ")) from None


def _filled(template: Template, record: Record, consequence: str) -> str:
    try:
        return template.fill(record.values)
    except EmptyColumnError as fault:
        raise RowError(record.line, f"is empty, so {consequence}", column=fault.column) from None


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of an export. Where it was recorded is the new store's to say."""

    stream: str
    type: str
    data: msgspec.Raw = _EMPTY
    metadata: msgspec.Raw = _EMPTY
    id: str | None = None
    tags: list[str] = []
    position: msgspec.Raw = _EMPTY
    revision: msgspec.Raw = _EMPTY
    recorded_at: msgspec.Raw = _EMPTY


_line: Final = msgspec.json.Decoder(_Line)


def ndjson_rows(lines: Iterable[str], *, source: str, limits: Limits) -> Iterator[Row]:
    """Give the events of an NDJSON file; those without an id get one as CSV rows do."""
    for number, line in enumerate(lines, 1):
        if text := line.strip():
            yield ndjson_row(number, text, source=source, limits=limits)


def ndjson_row(line: int, text: str, *, source: str, limits: Limits) -> Row:
    """Give a line as an event. Raises RowError with its line and the member at fault."""
    try:
        found = _line.decode(text)
        data, metadata = str(found.data, "utf-8"), str(found.metadata, "utf-8")
        check_json_text(data, path="data")
        check_json_text(metadata, path="metadata")
        if metadata[:1] != "{":
            raise InvalidInput("metadata is an object", path="metadata")
        event = encoded_event(
            found.type,
            data,
            metadata,
            row_id(source, line, text) if found.id is None else found.id,
            found.tags,
            path="$",
            limits=limits,
        )
        return Row(line, check_stream_name(found.stream), event)
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidInput) as fault:
        raise RowError(line, str(fault)) from None
    except RecursionError:
        raise RowError(line, "nested too deep") from None


def row_id(source: str, line: int, content: str) -> str:
    """Give the id of a row: the same row of the same source has the same id in every import."""
    return str(uuid.uuid5(_ROW_NAMESPACE, f"{source}\n{line}\n{content}"))


def canonical(values: Mapping[str, Any]) -> str:
    """Write a row's values as text that does not depend on the order of its columns."""
    return _sorted_json(values)


def batches(
    rows: Iterable[Row], *, most: int, most_bytes: int = BATCH_BYTES
) -> Iterator[list[Row]]:
    """Cut rows into batches of at most `most` rows, fewer where they are large."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and size + row.event.size > most_bytes:
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.event.size
        if len(batch) == most:  # at once: the next row may be long in coming, or at fault
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def appends(rows: Iterable[Row]) -> list[EncodedAppend]:
    """Put rows together as appends in the same order: neighbours of one stream are one append."""
    return [
        EncodedAppend(stream_name, ANY.code, tuple([row.event for row in group]))
        for stream_name, group in groupby(rows, key=lambda row: row.stream_name)
    ]


def row_at(rows: Sequence[Row], append: int, event: int) -> Row:
    """Give the row that is this event of this append (both from 0), as `appends` puts them."""
    before = 0
    for number, one in enumerate(appends(rows)):
        if number == append:
            return rows[before + event]
        before += len(one.events)
    raise IndexError(append)
