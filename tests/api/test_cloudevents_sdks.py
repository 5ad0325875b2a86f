"""The official CloudEvents SDKs as clients: what they send comes back to them as they sent it."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cloudevents.core.bindings import http as binding
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary as to_binary_v1
from cloudevents.v1.conversion import to_structured as to_structured_v1
from cloudevents.v1.http import CloudEvent as CloudEventV1

from tests.api.rest import CLOUDEVENT, CLOUDEVENTS, location

pytestmark = pytest.mark.one_postgres

OWN: Final = {"stream", "revision", "position", "recordedat"}
SUBJECT: Final = 'order "7", 50% größer 😀'
JS: Final = "cloudevents@10.0.0"


async def read_back(http: httpx.AsyncClient, answer: httpx.Response) -> CloudEvent:
    """Read what an append stored, by the SDK."""
    assert answer.status_code == 201, answer.text
    found = await http.get(location(answer), headers={"accept": CLOUDEVENT})
    event = binding.from_http_event(binding.HTTPMessage(dict(found.headers), found.content))
    assert isinstance(event, CloudEvent)
    return event


def sent_by_sdk(identity: str, data: Any, **attributes: Any) -> CloudEvent:
    """Make an event; the SDK's texts are checked by itself."""
    given = {"id": identity, "source": "/sdk", "type": "com.example.paid", **attributes}
    return CloudEvent(given, data)


@pytest.mark.parametrize("to_http", [binding.to_binary_event, binding.to_structured_event])
@pytest.mark.parametrize(
    ("attributes", "data"),
    [
        ({}, {"total": 12}),
        ({"datacontenttype": "application/json"}, {"type": "card", "data": {"n": 1}}),
        ({"datacontenttype": "application/vnd.shop+json"}, {"n": 1}),
        ({"datacontenttype": "text/plain"}, "größe"),
        ({"datacontenttype": "image/png"}, b"\x89PNG\xff"),
        ({}, None),
        (
            {
                "subject": SUBJECT,
                "time": datetime(2026, 3, 29, 0, 59, 34, tzinfo=UTC),
                "dataschema": "https://example.com/schema",
                "stream": "kitchen",
                "tags": "a,b",
            },
            {"total": 12},
        ),
    ],
)
async def test_the_python_sdk_reads_what_it_sent(
    http: httpx.AsyncClient, to_http: Any, attributes: dict[str, Any], data: Any
) -> None:
    event = sent_by_sdk("7", data, **attributes)
    message = to_http(event)
    answer = await http.post("/streams/pay-1", content=message.body, headers=message.headers)
    found = await read_back(http, answer)
    mine = {name: value for name, value in event.get_attributes().items() if value is not None}
    theirs = found.get_attributes()
    assert {name: theirs[name] for name in mine} == mine
    assert theirs.keys() - mine.keys() <= OWN
    assert found.get_data() == data
    again = await http.post("/streams/pay-1", content=message.body, headers=message.headers)
    assert again.status_code == 200


@pytest.mark.parametrize("to_http", [to_binary_v1, to_structured_v1])
async def test_the_first_python_sdk_reads_what_it_sent(
    http: httpx.AsyncClient, to_http: Any
) -> None:
    attributes = {"type": "com.example.paid", "source": "/sdk", "subject": "pay-9"}
    event = CloudEventV1(attributes, {"type": "card", "data": {"n": 1}})
    headers, body = to_http(event)
    answer = await http.post("/streams/pay-1", content=body, headers=headers)
    found = await read_back(http, answer)
    assert (found.get_id(), found.get_subject()) == (event["id"], "pay-9")
    assert found.get_data() == event.get_data()
    assert (await http.post("/streams/pay-1", content=body, headers=headers)).status_code == 200


EMIT: Final = """
const {CloudEvent, HTTP, Mode, emitterFor, httpTransport} = require("cloudevents");
const [address] = process.argv.slice(2);
const send = httpTransport(address + "/streams/js-1");
const full = {
  id: "7", source: "/js", type: "com.example.paid", subject: "order 7",
  time: "2026-03-29T00:59:34.000Z", dataschema: "https://example.com/schema", stream: "kitchen",
};
const events = [
  new CloudEvent({...full, data: {type: "card", data: {n: 1}}}),
  new CloudEvent({...full, id: "8", datacontenttype: "text/plain", data: "hello"}),
  new CloudEvent({...full, id: "9", flag: true, number: 5, data: {n: 1}}),
];
(async () => {
  const answers = [];
  for (const event of events) {
    const mode = event.id === "9" ? Mode.STRUCTURED : Mode.BINARY;
    const emit = emitterFor(send, {mode});
    for (let n = 0; n < 2; n++) {
      const answer = await emit(event);
      answers.push([JSON.parse(answer.body), answer.headers["idempotency-replayed"] ?? null]);
    }
  }
  const page = await fetch(address + "/streams/js-1", {
    headers: {accept: "application/cloudevents-batch+json"},
  });
  const headers = Object.fromEntries(page.headers);
  const found = HTTP.toEvent({headers, body: await page.text()});
  console.log(JSON.stringify({answers, sent: events, found}));
})();
"""


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory where the JavaScript SDK is installed."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("there is no node, or no npm")
    where = tmp_path_factory.mktemp("javascript")
    (where / "package.json").write_text("{}")
    flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0"]
    done = subprocess.run(
        [npm, "install", *flags, JS],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install {JS}: {done.stderr.strip().splitlines()[:1]}")
    (where / "emit.js").write_text(EMIT)
    return where


@pytest.mark.slow
def test_the_javascript_sdk_reads_what_its_emitter_sent(
    javascript: Path, address: tuple[str, int]
) -> None:
    host, port = address
    done = subprocess.run(
        ["node", "emit.js", f"http://{host}:{port}"],
        cwd=javascript,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [replayed for _, replayed in told["answers"]] == [None, "true"] * 3
    positions = [answer["position"] for answer, _ in told["answers"]]
    assert positions == [1, 1, 2, 2, 3, 3]
    sent, found = told["sent"], told["found"]
    sent[0]["datacontenttype"] = "application/json; charset=utf-8"  # which the SDK adds
    assert [{name: event[name] for name in sent[n]} for n, event in enumerate(found)] == sent
    with httpx.Client(base_url=f"http://{host}:{port}") as http:
        batch = http.get("/streams/js-1", headers={"accept": CLOUDEVENTS}).json()
    assert [one["stream"] for one in batch] == ["kitchen"] * 3
