"""The SELECT that gives a batch to the statement of a SqlProjection."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from eventstore.core.query import EventQuery
from eventstore.core.sql_projection import SqlProjection

_COLUMNS: Final = (
    "e.position, e.stream_name, e.revision, e.event_id, e.event_type, e.data, e.metadata, e.tags,"
    " e.recorded_at"
)
_FIRST: Final = 6
"""Number of the first parameter after those that every batch gives anew."""

_PARAMETER: Final = re.compile(r"\$(\d+)(?=::)")


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
    return (
        f"SELECT {_COLUMNS} FROM {schema}.events AS e"  # noqa: S608 - names of our own
        " WHERE e.position > $1::bigint AND e.position <= $2::bigint"
        " AND e.stream_name <> ALL ($3::text[]) AND e.position <> ALL ($4::bigint[])"
        f" AND ($5::text IS NULL OR e.stream_name = $5){of} AND {condition}"
    ), args


def inline_name(projection: SqlProjection, *, schema: str, serving: bool) -> str:
    """Give the name of the function that appends call while it serves, or beside the one that does.

    There are both, so that a switch leaves nothing to be made anew.
    """
    kind = "inline" if serving else "beside"
    return f"{schema}_read.{projection.name}__{kind}_v{projection.version}"


def inline_function(
    projection: SqlProjection, *, schema: str, serving: bool, name: Callable[[str], str]
) -> str:
    """Give the DDL of the function `(after, upto)` that appends call; `name` names tables."""
    condition, args = query_condition(projection.query, _FIRST)
    condition = _PARAMETER.sub(lambda found: _array(args[int(found[1]) - _FIRST]), condition)
    body = projection.sql(
        f"SELECT {_COLUMNS} FROM {schema}.events AS e"  # noqa: S608 - as above
        f" WHERE e.position > $1 AND e.position <= $2 AND {condition}",
        name,
    )
    of_a_row = (
        "data_exception OR integrity_constraint_violation OR cardinality_violation"
        " OR program_limit_exceeded"
    )
    problem = f"inline projection {projection.name} refuses it: "
    text = f"""#variable_conflict use_column
BEGIN
    {body}
;
EXCEPTION WHEN {of_a_row} THEN
    RAISE EXCEPTION '{problem}%', SQLERRM USING ERRCODE = 'ST004',
        DETAIL = jsonb_build_object('problem', '{problem}' || SQLERRM)::text;
WHEN syntax_error_or_access_rule_violation THEN
    RAISE EXCEPTION 'not stored: inline projection {projection.name} cannot be applied: %', SQLERRM
        USING ERRCODE = 'ST009', HINT = 'SELECT eventstore.pause_projection(''{projection.name}'')';
END"""
    tag = "$body$"
    while tag in text:
        tag = tag[:-1] + "_$"
    function = inline_name(projection, schema=schema, serving=serving)
    return f"""CREATE OR REPLACE FUNCTION {function}(bigint, bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
AS {tag}{text}{tag}"""


def _array(texts: list[str]) -> str:
    literals = ("'" + text.replace("'", "''") + "'" for text in texts)
    return f"ARRAY[{', '.join(literals)}]"


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
