"""Types as JSON: dataclasses and msgspec structs by msgspec, pydantic's own by pydantic.

Pydantic is imported only where one of its types is given.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from eventstore.core.errors import InvalidInput, UnreadableEvent
from eventstore.core.event_types import SCHEMA_VERSION, EventTypes
from eventstore.core.events import EventData, RecordedEvent
from eventstore.core.jsontext import encode_json
from eventstore.strict import unknown_members


class JsonSchema(NamedTuple):
    """The JSON Schema of a type, and those that it refers to, by name."""

    schema: dict[str, Any]
    definitions: dict[str, Any]


class Codec(Protocol):
    """How values of one type become JSON, and JSON a value."""

    def to_json(self, value: Any) -> Any:
        """Give a value as what JSON has. Raises InvalidInput."""

    def decode(self, text: str) -> Any:
        """Read a value. Raises InvalidInput with the JSON path of the fault."""

    def unknown_member(self, given: Any) -> str | None:
        """Give the path (`.lines[0].more`) of a member that the type does not have, if any."""

    def schema(self, ref: str) -> JsonSchema:
        """Describe the type; `ref` is how definitions are referred to, with {name} in it."""


class _Msgspec:
    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self.schema("#/$defs/{name}")  # raises TypeError for what JSON cannot say
        self._described = msgspec.inspect.type_info(kind)

    def to_json(self, value: Any) -> Any:
        try:
            return msgspec.to_builtins(value, str_keys=True)
        except (TypeError, ValueError, RecursionError) as fault:
            raise InvalidInput(f"not JSON: {fault}") from fault

    def decode(self, text: str) -> Any:
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as fault:
            problem, _, path = str(fault).partition(" - at `")
            raise InvalidInput(problem, path=path.rstrip("`") or "$") from fault
        except (msgspec.DecodeError, RecursionError) as fault:
            raise InvalidInput(f"not JSON that can be read: {fault}", path="$") from fault

    def unknown_member(self, given: Any) -> str | None:
        return next(unknown_members(self._described, given, ""), None)

    def schema(self, ref: str) -> JsonSchema:
        (schema,), definitions = msgspec.json.schema_components([self._kind], ref_template=ref)
        return JsonSchema(schema, definitions)


class _Pydantic:
    def __init__(self, kind: Any) -> None:
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

        self._adapter = TypeAdapter(kind)
        self._error = ValidationError

    def to_json(self, value: Any) -> Any:
        try:
            return self._adapter.dump_python(value, mode="json", by_alias=True)
        except ValueError as fault:  # PydanticSerializationError is one
            raise InvalidInput(f"not JSON: {fault}") from fault

    def decode(self, text: str) -> Any:
        try:
            return self._adapter.validate_json(text)
        except self._error as faults:
            fault = faults.errors()[0]
            path = "".join(f"[{at}]" if isinstance(at, int) else f".{at}" for at in fault["loc"])
            raise InvalidInput(fault["msg"], path=f"${path}") from faults

    def unknown_member(self, given: Any) -> str | None:
        return None  # such a type says by itself whether it takes them

    def schema(self, ref: str) -> JsonSchema:
        schema = self._adapter.json_schema(ref_template=ref.replace("{name}", "{model}"))
        return JsonSchema(schema, schema.pop("$defs", {}))


_codecs: Final[dict[Any, Codec]] = {}


def codec_of(kind: Any) -> Codec:
    """Give how a type becomes JSON. Raises InvalidInput for a type that JSON cannot have."""
    found = _codecs.get(kind)
    if found is None:
        try:
            is_pydantic = hasattr(kind, "__pydantic_core_schema__")
            found = _Pydantic(kind) if is_pydantic else _Msgspec(kind)
        except (TypeError, NameError) as fault:
            raise InvalidInput(f"{getattr(kind, '__qualname__', kind)}: {fault}") from fault
        _codecs[kind] = found
    return found


def json_schema(kind: Any) -> dict[str, Any]:
    """Give the JSON Schema (2020-12) of a type, whole."""
    schema, definitions = codec_of(kind).schema("#/$defs/{name}")
    return {**schema, "$defs": definitions} if definitions else schema


def encode_event(
    types: EventTypes, event: Any, *, metadata: Mapping[str, Any], tags: Iterable[str]
) -> EventData:
    """Give an event of a known type as what is appended, with the version of its shape."""
    name = types.name_of(type(event))
    version = types.version_of(name)
    shape = {SCHEMA_VERSION: version} if version > 1 else {}
    data = codec_of(type(event)).to_json(event)
    return EventData(name, data, {**metadata, **shape}, tags=tags)


def read_again(types: EventTypes, written: EventData) -> Any:
    """Give an event that is to be appended as it will be read. Raises InvalidInput if it cannot."""
    try:
        return codec_of(types[written.event_type]).decode(encode_json(written.data))
    except InvalidInput as fault:
        raise InvalidInput(
            f"{written.event_type} could not be read again: {fault.problem}",
            path=f"$.data{(fault.path or '$')[1:]}",
        ) from fault


def decode_event(types: EventTypes, event: RecordedEvent) -> Any:
    """Give a stored event as a value of its type, upcast if it is of an older shape.

    None for a type that `types` does not have. Raises UnreadableEvent, with the JSON path, for
    data that does not fit the type.
    """
    cls = types.get(event.event_type)
    if cls is None:
        return None
    version = 1 if event.metadata_json == "{}" else event.metadata.get(SCHEMA_VERSION, 1)
    present = types.version_of(event.event_type)
    if type(version) is not int or not 1 <= version <= present:
        raise _unreadable(
            event, f"versions 1 to {present} are known here", f"$.metadata.{SCHEMA_VERSION}"
        )
    text = event.data_json
    try:
        if version < present:
            data = json.loads(text)
            for upcast in types.upcasts_from(event.event_type, version):
                data = upcast(data)
            text = encode_json(data)
        return codec_of(cls).decode(text)
    except InvalidInput as fault:
        raise _unreadable(event, fault.problem, f"$.data{fault.path[1:]}") from fault
    except Exception as fault:  # an upcast is any code
        raise _unreadable(event, f"its upcast fails: {fault!r}", "$.data") from fault


def _unreadable(event: RecordedEvent, problem: str, path: str) -> UnreadableEvent:
    return UnreadableEvent(
        problem,
        path=path,
        event_id=str(event.event_id),
        event_type=event.event_type,
        stream_name=event.stream_name,
        revision=event.revision,
        position=event.position,
    )


def decode_strictly(kind: Any, text: str, *, path: str) -> Any:
    """Read a value that a caller gives, whose unknown members are faults. Raises InvalidInput."""
    codec = codec_of(kind)
    try:
        value = codec.decode(text)
    except InvalidInput as fault:
        raise InvalidInput(fault.problem, path=f"{path}{fault.path[1:]}") from fault
    if (unknown := codec.unknown_member(json.loads(text))) is not None:
        raise InvalidInput("there is no such member", path=f"{path}{unknown}")
    return value
