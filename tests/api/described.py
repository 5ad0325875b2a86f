"""The API as it is described, and what has to hold of every answer."""

from __future__ import annotations

from typing import Any, Final

import schemathesis
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from eventstore import App, EventStore
from eventstore_api.app import make_api
from tests.wallet import new_wallet

APP: Final = App(deciders=[new_wallet()])
COMMANDS: Final = "^/(commands/wallet|schemas)"

_CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
_CHECKS_OF_METHODS: Final = [unsupported_method, allow_header_conformance]
_ALL_DESCRIBED: Final = {
    "GET /",
    "GET /health/live",
    "GET /health/ready",
    "GET /categories",
    "GET /event-types",
    "GET /events/{event_id}",
}
"""Operations whose description says all there is to say. No schema says that a name is NFC, that a
query parameter is JSON, or that two headers exclude each other."""


def described(app: App | None = None) -> BaseSchema:
    """Return the description of a service, with the commands of an App."""
    schema = schemathesis.openapi.from_dict(make_api(EventStore(""), app).openapi())
    # A list that is longer than its bound is too large, not invalid.
    schema.config.checks.negative_data_rejection.expected_statuses.append("413")
    return schema


def check(case: Case[Any], address: tuple[str, int]) -> None:
    """Send a request that was made up, and check its answer."""
    host, port = address
    checks = list(_CHECKS)
    if any(value in ({}, [], None) for value in (case.query or {}).values()):
        # It goes out as an empty text, which may be right.
        checks.remove(negative_data_rejection)
    if not case.operation.path.startswith(("/commands/wallet", "/schemas")):
        checks += _CHECKS_OF_METHODS
    if case.operation.label in _ALL_DESCRIBED:
        checks.append(positive_data_acceptance)
    case.call_and_validate(base_url=f"http://{host}:{port}", checks=checks)
