"""The API description: committed, up to date, and true of every route."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import httpx
import pytest

from eventstore_api import export_openapi
from eventstore_api.export_openapi import OPENAPI_FILE, main, openapi_text


def test_the_committed_description_is_what_the_code_describes() -> None:
    assert OPENAPI_FILE.read_text(encoding="utf-8") == openapi_text(), (
        "run: python -m eventstore_api.export_openapi"
    )


def test_the_description_is_the_same_every_time() -> None:
    assert openapi_text() == openapi_text()
    assert openapi_text().endswith("}\n")


def test_the_export_writes_what_the_check_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "openapi.json"
    monkeypatch.setattr(export_openapi, "OPENAPI_FILE", file)
    monkeypatch.setattr(sys, "argv", ["export_openapi", "--check"])
    assert main() == 1
    assert "run: python -m eventstore_api.export_openapi" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["export_openapi"])
    assert main() == 0
    monkeypatch.setattr(sys, "argv", ["export_openapi", "--check"])
    assert main() == 0
    file.write_text("{}")
    assert main() == 1


async def test_the_service_gives_its_description(shared_http: httpx.AsyncClient) -> None:
    answer = await shared_http.get("/openapi.json")
    assert answer.json() == json.loads(openapi_text())
    assert (await shared_http.get("/docs")).status_code == 200


def test_every_operation_and_every_refusal_is_described() -> None:
    description = json.loads(openapi_text())
    operations = {
        (method.upper(), path)
        for path, methods in description["paths"].items()
        for method in methods
    }
    assert operations == {
        ("GET", "/"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
        ("GET", "/streams"),
        ("GET", "/streams/{stream_name}"),
        ("HEAD", "/streams/{stream_name}"),
        ("POST", "/streams/{stream_name}"),
        ("GET", "/streams/{stream_name}/{revision}"),
        ("POST", "/appends"),
        ("GET", "/events"),
        ("GET", "/events/{event_id}"),
        ("GET", "/categories"),
        ("GET", "/event-types"),
        ("GET", "/commands"),
        ("POST", "/commands/{decider}/{command}"),
        ("GET", "/schemas"),
        ("GET", "/schemas/{event_type}"),
        ("GET", "/projections"),
        ("GET", "/projections/{projection}"),
        ("DELETE", "/projections/{projection}"),
        ("GET", "/projections/{projection}/position"),
        ("GET", "/projections/{projection}/streams/{stream_name}"),
        ("GET", "/projections/{projection}/tables/{table}"),
        ("POST", "/projections/{projection}/parked/retry"),
        ("POST", "/projections/{projection}/pause"),
        ("POST", "/projections/{projection}/resume"),
        ("POST", "/projections/{projection}/rebuild"),
        ("POST", "/projections/{projection}/switch"),
        ("DELETE", "/projections/{projection}/versions/{version}"),
        ("GET", "/projections/{projection}/compare"),
        ("GET", "/projections/{projection}/parked"),
        ("POST", "/projections/{projection}/parked/{stream_name}/retry"),
        ("POST", "/projections/{projection}/parked/{stream_name}/skip"),
        ("GET", "/consumers"),
        ("PUT", "/consumers/{consumer}"),
        ("GET", "/consumers/{consumer}"),
        ("DELETE", "/consumers/{consumer}"),
        ("POST", "/consumers/{consumer}/receive"),
        ("POST", "/consumers/{consumer}/ack"),
        ("POST", "/consumers/{consumer}/renew"),
        ("POST", "/consumers/{consumer}/nack"),
        ("GET", "/consumers/{consumer}/parked"),
        ("POST", "/consumers/{consumer}/parked/replay"),
        ("POST", "/consumers/{consumer}/parked/drop"),
    }
    for methods in description["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            for status, response in operation["responses"].items():
                if int(status) >= 400 and response.get("content"):
                    assert set(response["content"]) <= {
                        "application/problem+json",
                        "application/json",
                    }
