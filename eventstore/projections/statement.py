"""The SELECT that gives a batch to the statement of a SqlProjection."""

from __future__ import annotations

from typing import Final

from eventstore.core.query import EventQuery
from eventstore.core.sql_projection import SqlProjection

COLUMNS: Final = "position stream_name revision event_id event_type data metadata tags recorded_at"
_FIRST: Final = 6
"""Number of the first parameter after those that every batch gives anew."""


def batch_select(
    projection: SqlProjection, *, schema: str, partition: int
) -> tuple[str, list[list[str]]]:
    """Give the SELECT of a batch and the arguments that it takes from $6 on.

    $1 and $2 are the positions after and up to which it goes, $3 streams that are held back, $4
    positions that are left out, $5 the only stream that is meant, NULL for all.
    """
    condition, args = query_condition(projection.query, _FIRST)
    of = ""
    if projection.partitions > 1:
        of = f" AND {schema}.partition_of(e.stream_name, {projection.partitions}) = {partition}"
    columns = ", ".join(f"e.{name}" for name in COLUMNS.split())
    return (
        f"SELECT {columns} FROM {schema}.events AS e"  # noqa: S608 - names of our own
        " WHERE e.position > $1::bigint AND e.position <= $2::bigint"
        " AND e.stream_name <> ALL ($3::text[]) AND e.position <> ALL ($4::bigint[])"
        f" AND ($5::text IS NULL OR e.stream_name = $5){of} AND {condition}"
    ), args


def query_condition(query: EventQuery, first: int) -> tuple[str, list[list[str]]]:
    """Give a query as a condition on events `e`, and its arguments (text[]) from number `first`."""
    args: list[list[str]] = []

    def bound(values: tuple[str, ...]) -> str:
        args.append(list(values))
        return f"${first + len(args) - 1}::text[]"

    any_of = []
    for item in query.any_of:
        all_of = []
        if item.streams:
            all_of.append(f"e.stream_name = ANY ({bound(item.streams)})")
        if item.categories:
            all_of.append(f"split_part(e.stream_name, '-', 1) = ANY ({bound(item.categories)})")
        if item.types:
            all_of.append(f"e.event_type = ANY ({bound(item.types)})")
        if item.tags:
            all_of.append(f"e.tags @> {bound(item.tags)}")
        any_of.append(" AND ".join(all_of) or "true")
    return "(" + " OR ".join(f"({one})" for one in any_of) + ")", args
