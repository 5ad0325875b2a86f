"""Times as text: one spelling on every face."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(moment: datetime) -> str:
    """Return a time as ISO 8601 in UTC with six digits: `2026-12-01T10:30:00.000000+00:00`.

    Always of that form, so that a parser may rely on it and texts sort as the times do.
    """
    return moment.astimezone(UTC).isoformat("T", "microseconds")
