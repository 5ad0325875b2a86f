"""Requests made up from the API description: answered as it says, and never by a failure.

A few for each operation; test_schemathesis_deep.py makes up many more.
"""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema

from eventstore_api.export_openapi import OPENAPI_FILE
from tests.api.described import check, described

pytestmark = pytest.mark.one_postgres

PATHS: Final = json.loads(OPENAPI_FILE.read_text(encoding="utf-8"))["paths"]
OPERATIONS: Final = [(path, method) for path, methods in PATHS.items() for method in methods]
FEW: Final = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def api() -> BaseSchema:
    """The API as it is described."""
    return described()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_service_answers_as_it_is_described(
    api: BaseSchema, path: str, method: str, random_address: tuple[str, int]
) -> None:
    operation = api[path][method]
    requests = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @FEW
    @given(case=st.one_of(requests))
    def answered(case: Case[Any]) -> None:
        check(case, random_address)

    answered()
