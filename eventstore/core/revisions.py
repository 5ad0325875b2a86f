"""What an append expects of its stream."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, TypeAlias

from eventstore.core.errors import InvalidInput

MAX_REVISION: Final = 2**63 - 1


class Expectation(Enum):
    """The expectations that are not a number. The value is the one word for it in REST."""

    NO_STREAM = "no_stream"
    ANY = "any"
    STREAM_EXISTS = "stream_exists"

    @property
    def code(self) -> int:
        """The number that stands for it in SQL: -1 is also the head of a stream without events."""
        return _CODES[self]


_CODES: Final = {Expectation.NO_STREAM: -1, Expectation.ANY: -2, Expectation.STREAM_EXISTS: -3}

NO_STREAM: Final = Expectation.NO_STREAM
ANY: Final = Expectation.ANY
STREAM_EXISTS: Final = Expectation.STREAM_EXISTS

ExpectedRevision: TypeAlias = (
    int
    | Literal[Expectation.NO_STREAM]
    | Literal[Expectation.ANY]
    | Literal[Expectation.STREAM_EXISTS]
)
"""NO_STREAM, ANY, STREAM_EXISTS, or the revision that the stream's last event must have."""


def revision_code(expected: ExpectedRevision) -> int:
    """Give the number that SQL takes for an expected revision.

    Raises InvalidInput for a negative or huge number, or anything else that is not one.
    """
    if isinstance(expected, Expectation):
        return expected.code
    if isinstance(expected, bool) or not isinstance(expected, int):
        raise InvalidInput(f"an expected revision is an integer or an Expectation: {expected!r}")
    if not 0 <= expected <= MAX_REVISION:
        raise InvalidInput(f"an expected revision is 0 to {MAX_REVISION}: {expected}")
    return expected
