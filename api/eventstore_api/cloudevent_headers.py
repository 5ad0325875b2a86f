"""CloudEvents 1.0.2 over HTTP in binary mode: attributes are headers, the body is the data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from eventstore import Limits
from eventstore.core.events import EncodedEvent
from eventstore.core.jsontext import encode_json
from eventstore_api.cloudevent_attributes import (
    Attributes,
    check_attributes,
    is_media_type,
    media_type_of,
)
from eventstore_api.cloudevents import (
    NO_DATA,
    Data,
    bytes_data,
    decode_cloudevents,
    encoded_cloudevent,
)
from eventstore_api.headers import JSON
from eventstore_api.problems import HttpError
from eventstore_api.wire import decoded, raw_text

PREFIX: Final = b"ce-"
Raw = Sequence[tuple[bytes, bytes]]
"""Headers as they came: names in small letters, one pair for each."""

_json: Final = msgspec.json.Decoder(msgspec.Raw)
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"').fullmatch
_ESCAPE: Final = re.compile(rb"\\(.)")
_BAD_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_CHARSET: Final = re.compile(r';[ \t]*charset="?([^";]*)', re.IGNORECASE).search
_UTF_8: Final = {"utf-8", "utf8", "us-ascii"}


def decode_binary(raw: Raw, body: bytes, limits: Limits) -> EncodedEvent:
    """Read a CloudEvent in binary mode; an empty body is no data.

    Raises 400 and 415, or 422 with the header at fault.
    """
    attributes = header_attributes(raw)
    types = [value for name, value in raw if name == b"content-type"]
    if len(types) > 1:
        raise HttpError("malformed-request", "header Content-Type comes twice")
    if types:
        sent = types[0].decode("latin-1").strip()
        if not is_media_type(sent):
            raise HttpError("unsupported-media-type", f"Content-Type is no media type: {sent[:60]}")
        if attributes.setdefault("datacontenttype", sent) != sent:
            raise HttpError("malformed-request", "ce-datacontenttype is not the Content-Type")
    checked = check_attributes(attributes, "ce-")
    content_type = checked.get("datacontenttype")
    # Without a Content-Type it is JSON, which is what the JSON format takes it for.
    data = _data(body, str(content_type or JSON)) if body else NO_DATA
    return encoded_cloudevent(checked, data, "ce-", limits)


def decode_structured(
    raw: Raw, body: bytes, limits: Limits, *, batch: bool
) -> tuple[EncodedEvent, ...]:
    """Read CloudEvents that are the body. Raises 400, also if ce- headers say something else."""
    repeated = header_attributes(raw)
    if batch and repeated:
        raise HttpError("malformed-request", "a batch of CloudEvents has no ce- headers")
    return decode_cloudevents(body, limits, batch=batch, headers=repeated)


def header_attributes(raw: Raw) -> Attributes:
    """Return what ce- headers say, decoded and not yet checked. Raises 400."""
    attributes: Attributes = {}
    for name, value in raw:
        if name.startswith(PREFIX):
            attribute = name[len(PREFIX) :].decode("latin-1")
            if attribute in attributes:
                raise HttpError("malformed-request", f"header ce-{attribute[:60]} comes twice")
            attributes[attribute] = _decoded(value, attribute)
    return attributes


def _decoded(value: bytes, attribute: str) -> str:
    """Decode a value: unquoted first, as older senders quote, then percent-decoded once."""
    value = value.strip(b" \t")
    problem = ""
    if not value.isascii():
        problem = "has bytes that are not ASCII: percent-encode them"
    elif value.startswith(b'"'):
        quoted = _QUOTED(value)
        value = b"" if quoted is None else _ESCAPE.sub(rb"\1", quoted[1])
        problem = "begins with a quote that nothing closes" if quoted is None else ""
    if not problem and _BAD_PERCENT(value):
        problem = "has a % that encodes nothing: send %25"
    try:
        text = unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        text, problem = "", problem or "is percent-encoded from what is not UTF-8"
    if problem:
        raise HttpError("malformed-request", f"header ce-{attribute[:60]} {problem}")
    return text


def _data(body: bytes, content_type: str) -> Data:
    """Return a body as JSON has it: JSON as it is, text as text, everything else in base64."""
    main, sub = media_type_of(content_type)
    charset = _CHARSET(content_type)
    is_utf_8 = charset is None or charset[1].strip().lower() in _UTF_8
    if sub == "json" or sub.endswith("+json"):
        if not is_utf_8:
            raise HttpError("unsupported-media-type", f"JSON is in UTF-8: {content_type[:60]}")
        return Data(raw_text(decoded(_json, body), "$"))
    if is_utf_8 and (main == "text" or sub == "xml" or sub.endswith("+xml")):
        try:
            return _text_data(body.decode())
        except UnicodeDecodeError:
            pass
    return bytes_data(body)


def _text_data(text: str) -> Data:
    # PostgreSQL's text cannot hold the character 0.
    return bytes_data(text.encode()) if "\0" in text else Data(encode_json(text))
