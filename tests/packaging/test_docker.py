"""The Dockerfile and the compose file say what holds together; `containers` runs what they say."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from tests.fix_server import INSTALLATIONS
from tests.packaging import compose
from tests.packaging.image import CHECKOUT, DOCKERFILE, image, stages

MODEL = compose.model()
SERVICES: dict[str, Any] = MODEL["services"]
OURS = ["migrate", "api", "worker"]
WORKFLOW = CHECKOUT / ".github" / "workflows" / "ci.yml"
JOBS: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
SCHEMA = jsonschema_rs.validator_for(compose.schema())


def texts(value: Any) -> Iterator[str]:
    """Give every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def test_the_compose_file_is_one_by_the_specification() -> None:
    assert [str(error) for error in SCHEMA.iter_errors(MODEL)] == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("api", "comand", ["serve"]),
        ("api", "depends_on", {"db": {"condition": "service_started_well"}}),
        ("worker", "deploy", {"replica": 2}),
        ("db", "healthcheck", {"test": {"CMD": "pg_isready"}}),
    ],
)
def test_the_specification_finds_mistakes(service: str, key: str, value: object) -> None:
    wrong = copy.deepcopy(MODEL)
    wrong["services"][service][key] = value

    assert not SCHEMA.is_valid(wrong)


def test_what_the_services_name_is_there() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            needs = "healthcheck" if how["condition"] == "service_healthy" else "command"
            assert needs in SERVICES[other], (name, other)
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (compose.FILE.parent / source).exists(), source
            else:
                assert source in MODEL["volumes"], source
    assert (compose.FILE.parent / SERVICES["api"]["build"]["context"]).resolve() == CHECKOUT
    assert CHECKOUT / SERVICES["api"]["build"]["dockerfile"] == DOCKERFILE


def test_every_password_has_to_be_chosen_and_is_given_to_whom_it_belongs() -> None:
    example = (compose.FILE.parent / ".env.example").read_text(encoding="utf-8")
    names = [line.partition("=")[0] for line in example.splitlines() if "=" in line]
    assert set(names) == {
        found for text in texts(MODEL) for found in compose.VARIABLE.findall(text)
    }
    for name in OURS:
        assert compose.VARIABLE.findall(" ".join(texts(SERVICES[name]))) == [
            f"EVENTSTORE_{name.upper()}_PASSWORD"
        ]


def test_no_command_line_has_a_password_in_it() -> None:
    for service in SERVICES.values():
        commands = [service.get(key) for key in ("command", "entrypoint", "healthcheck")]
        assert "$" not in " ".join(texts(commands))
    for name in OURS:
        dsn = urlsplit(SERVICES[name]["environment"]["EVENTSTORE_DSN"])
        assert (dsn.username, dsn.password) == (f"eventstore_{name}_login", None)


def test_our_containers_can_change_nothing_but_the_database() -> None:
    for name in OURS:
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert all(volume.endswith(":ro") for volume in service.get("volumes", []))


def test_the_image_has_the_python_of_the_tests_and_a_user_without_rights() -> None:
    build, runtime = stages(DOCKERFILE.read_text(encoding="utf-8"))
    [tested] = [step["with"]["python-version"] for step in JOBS["ci"]["steps"] if "with" in step]
    version = f"python:{tested}-slim"
    assert [build[0].text, runtime[0].text] == [f"{version} AS build", version]

    user, _, group = image(CHECKOUT).user.partition(":")
    [made] = [step.text for step in runtime if step.text.startswith("useradd ")]
    assert int(user) == int(group) > 999
    assert f"--uid {user} --user-group" in made


def test_every_python_and_every_postgresql_is_tested_once() -> None:
    pairs = JOBS["versions"]["strategy"]["matrix"]["include"]
    assert [pair["python"] for pair in pairs] == ["3.11", "3.12", "3.13", "3.14"]
    assert [pair["postgres"] for pair in pairs] == sorted(INSTALLATIONS)
