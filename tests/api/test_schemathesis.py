"""Requests made up from the API description: answered as it says, and never by a failure."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
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

from eventstore_api.export_openapi import openapi_text

pytestmark = pytest.mark.one_postgres

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    unsupported_method,
    allow_header_conformance,
]


ALL_DESCRIBED: Final = {
    "GET /",
    "GET /health/live",
    "GET /health/ready",
    "GET /categories",
    "GET /event-types",
    "GET /events/{event_id}",
}
"""Operations whose description says all there is to say. No schema says that a name is NFC, that a
query parameter is JSON, or that two headers exclude each other."""

schema = schemathesis.openapi.from_dict(json.loads(openapi_text()))
# A list that is longer than its bound is too large, not invalid.
schema.config.checks.negative_data_rejection.expected_statuses.append("413")


@schema.parametrize()
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_service_answers_as_it_is_described(
    case: Case[Any], random_address: tuple[str, int]
) -> None:
    host, port = random_address
    checks = list(CHECKS)
    if case.operation.label in ALL_DESCRIBED:
        checks.append(positive_data_acceptance)
    case.call_and_validate(base_url=f"http://{host}:{port}", checks=checks)
