"""A great many requests made up from the API description, at every edge that it has."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from schemathesis import Case

from tests.api.described import APP, COMMANDS, check, described

pytestmark = [pytest.mark.one_postgres, pytest.mark.slow]

MANY: Final = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@described().parametrize()
@MANY
def test_the_service_answers_as_it_is_described(
    case: Case[Any], random_address: tuple[str, int]
) -> None:
    check(case, random_address)


@described(APP).include(path_regex=COMMANDS).parametrize()
@MANY
def test_the_service_answers_commands_as_they_are_described(
    case: Case[Any], wallet_address: tuple[str, int]
) -> None:
    check(case, wallet_address)
