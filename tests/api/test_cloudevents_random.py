"""CloudEvents made up at random: any legal one goes in and comes out equal, in every mode."""

from __future__ import annotations

import base64
import json
import string
import unicodedata
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore_api.cloudevent_attributes import FORBIDDEN, tag_list, tags_of
from tests.api.rest import CLOUDEVENT, CLOUDEVENTS

pytestmark = pytest.mark.one_postgres

SOME: Final = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
CORE: Final = {"specversion", "id", "source", "type", "subject", "time", "dataschema", "data"}
OWN: Final = ("stream", "revision", "position", "recordedat", "tags")
SAFE: Final = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"%')

numbers = count()
texts = st.text().map(lambda text: FORBIDDEN.sub("", text))
filled = texts.filter(bool)
types = filled.map(lambda text: unicodedata.normalize("NFC", text)[:60])
paths = st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/")
uris = st.builds(
    lambda scheme, host, path, rest: f"{scheme}//{host}/{path}{rest}",
    st.sampled_from(["https:", "urn-x:", ""]),
    st.sampled_from(["example.com", "a@[::1]:80", "1.2.3.4:5", ""]),
    paths,
    st.sampled_from(["", "?q=%C3%BC&b", "#f/?", "?#"]),
)
zones = st.integers(-23 * 60, 23 * 60).map(lambda n: timezone(timedelta(minutes=n)))
times = st.datetimes(timezones=zones, min_value=datetime(1000, 1, 1)).map(datetime.isoformat)  # noqa: DTZ001
names = (
    st.sampled_from(OWN[:4]) | st.text(string.ascii_lowercase + string.digits, min_size=1)
).filter(lambda name: name not in CORE | {"datacontenttype", "tags"})
values = texts | st.booleans() | st.integers(-(2**31), 2**31 - 1)
json_texts = st.text().map(lambda text: text.replace("\0", ""))
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | json_texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_texts, inner, max_size=4),
    max_leaves=12,
)
data = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"data": documents}),
    st.fixed_dictionaries(
        {
            "data_base64": st.binary().map(lambda some: base64.b64encode(some).decode()),
            "datacontenttype": st.sampled_from(["image/png", 'a/b; c="d, e"', "application/json"]),
        }
    ),
)
attributes = st.fixed_dictionaries(
    {"id": filled, "source": uris.filter(bool), "type": types},
    optional={
        "subject": filled,
        "time": times,
        "dataschema": uris.filter(lambda uri: not uri.startswith("/")),
        "datacontenttype": st.sampled_from(["application/json", "text/x;y=z"]),
        "tags": st.lists(types, max_size=5).map(tag_list),
    },
)


@st.composite
def cloudevents(draw: st.DrawFn) -> dict[str, Any]:
    """Make up a legal CloudEvent, another one each time."""
    extensions = draw(st.dictionaries(names, values, max_size=4))
    event: dict[str, Any] = {**extensions, **draw(attributes), **draw(data)}
    return event | {"specversion": "1.0", "id": f"{event['id']}{next(numbers)}"}


@pytest.fixture(scope="module")
def client(random_address: tuple[str, int]) -> Iterator[httpx.Client]:
    """A client of a service on a store of its own."""
    host, port = random_address
    with httpx.Client(base_url=f"http://{host}:{port}") as made:
        yield made


def exact(text: str | bytes) -> Any:
    """Read JSON with every digit of its numbers."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def without_own(found: dict[str, Any], sent: dict[str, Any]) -> dict[str, Any]:
    """Return an event without what the store has added."""
    return {name: value for name, value in found.items() if name in sent or name not in OWN}


def test_any_batch_comes_back_as_it_went_in(client: httpx.Client) -> None:
    @SOME
    @given(
        st.lists(cloudevents(), min_size=1, max_size=4),
        st.booleans(),
        st.sampled_from([None, 1, "\t"]),
    )
    def comes_back(batch: list[dict[str, Any]], ascii_only: bool, indent: int | str | None) -> None:
        path = f"/streams/batch-{next(numbers)}"
        content = json.dumps(batch, ensure_ascii=ascii_only, indent=indent).encode()
        for status in (201, 200):
            answer = client.post(path, content=content, headers={"content-type": CLOUDEVENTS})
            assert answer.status_code == status, answer.text
        found = exact(client.get(path, headers={"accept": CLOUDEVENTS}).text)
        assert [without_own(*pair) for pair in zip(found, batch, strict=True)] == exact(content)

    comes_back()


def test_any_event_comes_back_from_binary_mode(client: httpx.Client) -> None:
    @SOME
    @given(cloudevents(), st.booleans())
    def comes_back(event: dict[str, Any], as_json: bool) -> None:
        event = {
            name: value if name == "data" or isinstance(value, str) else str(value).lower()
            for name, value in event.items()
        }
        body = b""
        if "data_base64" in event:
            body = base64.b64decode(event["data_base64"])
            event["datacontenttype"] = "application/octet-stream"
            if not body:
                del event["data_base64"]
        elif "data" in event:
            event["datacontenttype"] = "application/json"
            body = json.dumps(event["data"], ensure_ascii=as_json).encode()
        headers = {
            f"ce-{name}": quote(value, safe=SAFE)
            for name, value in event.items()
            if name not in ("data", "data_base64", "datacontenttype")
        }
        if "datacontenttype" in event:
            headers["content-type"] = event["datacontenttype"]
        path = f"/streams/one-{next(numbers)}"
        for status in (201, 200):
            answer = client.post(path, content=body, headers=headers)
            assert answer.status_code == status, answer.text
        found = exact(client.get(f"{path}/0", headers={"accept": CLOUDEVENT}).text)
        assert without_own(found, event) == exact(json.dumps(event))

    comes_back()


@given(st.lists(types))
def test_any_tags_are_one_text_and_the_same_tags_again(tags: list[str]) -> None:
    assert tags_of(tag_list(tags)) == tags
