"""What the database advises, in the words of the command line."""

from __future__ import annotations

from typing import Final

_IN_SQL: Final = {
    "SELECT * FROM eventstore.projection_status": "eventstore projections list",
    "SELECT * FROM eventstore.consumer_status": "eventstore consumers list",
    "eventstore.pause_projection(projection, version)": (
        "eventstore projections pause NAME --version N"
    ),
    "eventstore.switch_projection(projection, version)": (
        "eventstore projections switch NAME VERSION"
    ),
    "SELECT eventstore.resume_projection(projection)": "eventstore projections resume NAME",
    "SELECT eventstore.retry_parked(projection, stream_name)": (
        "eventstore projections retry NAME STREAM"
    ),
}


def in_commands(text: str) -> str:
    """Name the command wherever a hint names a function or a view."""
    for in_sql, command in _IN_SQL.items():
        text = text.replace(in_sql, command)
    return text
