"""Requests made up from the description of an App's commands: never answered by a failure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from eventstore import App, EventStore
from eventstore_api.app import make_api
from tests.fix_database import janitor
from tests.fix_server import Server
from tests.fix_service import served
from tests.wallet import new_wallet

pytestmark = pytest.mark.one_postgres

APP: Final = App(deciders=[new_wallet()])
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
schema = schemathesis.openapi.from_dict(make_api(EventStore(""), APP).openapi()).include(
    path_regex="^/(commands/wallet|schemas)"
)
# A list that is longer than its bound is too large, not invalid.
schema.config.checks.negative_data_rejection.expected_statuses.append("413")


@pytest.fixture(scope="module")
def address(server: Server, template: str) -> Iterator[tuple[str, int]]:
    """Host and port of a service of the App, on a store of its own."""
    with (
        janitor(server, "api_commands", template) as database,
        served(EventStore(server.database(database.dbname)), APP) as found,
    ):
        yield found


@schema.parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_answers_commands_as_they_are_described(
    case: Case[Any], address: tuple[str, int]
) -> None:
    host, port = address
    case.call_and_validate(base_url=f"http://{host}:{port}", checks=CHECKS)
