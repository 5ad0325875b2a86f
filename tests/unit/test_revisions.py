"""Expected revisions and their codes in SQL."""

from __future__ import annotations

import pytest

from eventstore import ANY, NO_STREAM, STREAM_EXISTS, ExpectedRevision, InvalidInput
from eventstore.core.errors import expectation_name
from eventstore.core.revisions import MAX_REVISION, Expectation, revision_code


@pytest.mark.parametrize(
    ("expected", "code"),
    [(NO_STREAM, -1), (ANY, -2), (STREAM_EXISTS, -3), (0, 0), (7, 7), (MAX_REVISION, 2**63 - 1)],
)
def test_every_expectation_has_a_code(expected: ExpectedRevision, code: int) -> None:
    assert revision_code(expected) == code


@pytest.mark.parametrize("expectation", list(Expectation))
def test_a_code_leads_back_to_the_word(expectation: Expectation) -> None:
    assert expectation_name(expectation.code) == expectation.value


@pytest.mark.parametrize("wrong", [-1, -2, -3, 2**63, 10**30, True, 1.0, "1", None])
def test_a_code_or_anything_else_is_not_an_expectation(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="an expected revision is"):
        revision_code(wrong)  # type: ignore[arg-type]
