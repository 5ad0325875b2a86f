"""Fingerprints: the same for the same facts, whoever spells them; another one for each change."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from eventstore import EventQuery, Projection, SqlProjection
from eventstore.projections.fingerprint import facts, fingerprint, known_with


def column(name: str, kind: Any, *more: Any, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, *more, **options)


def made(*parts: Any, naming: dict[str, str] | None = None, **options: Any) -> Projection:
    metadata = sa.MetaData(naming_convention=naming)
    table = sa.Table("orders", metadata, sa.Column("id", sa.Uuid, primary_key=True), *parts)
    return Projection("orders", tables=[table], keys_within_streams=True, **options)


def test_the_facts_are_these() -> None:
    projection = made(
        column("total", sa.Numeric(8, 2), sa.CheckConstraint("total > 0"), nullable=False),
        column("mail", sa.String(5), unique=True),
        column("tags", sa.ARRAY(sa.Text)),
        column("document", JSONB),
        sa.Index("lower_mail", sa.func.lower(sa.column("mail")), unique=True),
        categories=["order"],
        partitions=2,
    )
    assert facts(projection) == {
        "query": '{"any_of":[{"categories":["order"]}]}',
        "partitions": 2,
        "tables": {
            "orders": {
                "columns": {
                    "id": ["UUID", "not null"],
                    "total": ["NUMERIC(8, 2)", "not null"],
                    "mail": ["VARCHAR(5)", "null"],
                    "tags": ["TEXT[]", "null"],
                    "document": ["JSONB", "null"],
                },
                "key": ["id"],
                "constraints": [["CheckConstraint", "total > 0"], ["UniqueConstraint", "mail"]],
                "indexes": [["unique", "lower(mail)"]],
            }
        },
    }


def test_a_fingerprint_is_the_same_in_every_release() -> None:
    known = "0d5928184bb8837bb647eed67c630be8bb6499f86dd068b15d937a589f3fb549"
    assert fingerprint(made(column("total", sa.Numeric(8, 2)), types=["A"])) == known


def test_how_a_table_is_put_together_makes_no_difference() -> None:
    one = made(
        column("a", sa.Text, unique=True, index=False),
        column("b", sa.Integer, sa.CheckConstraint("b > 0"), index=True),
    )
    other = made(
        column("b", sa.Integer, server_default="1", comment="how many"),
        column("a", sa.Text),
        sa.CheckConstraint("b > 0", name="positive"),
        sa.UniqueConstraint("a", name="one_a"),
        sa.Index("by_b", "b"),
        naming={"uq": "uq_%(column_0_name)s", "pk": "pk_%(table_name)s"},
    )
    assert fingerprint(one) == fingerprint(other)


def test_what_is_done_about_failures_makes_no_difference() -> None:
    changed = made(column("a", sa.Text), on_failure="skip", deadline=1.0)
    assert fingerprint(changed) == fingerprint(made(column("a", sa.Text)))


def test_every_change_of_what_rows_depend_on_makes_one() -> None:
    changes = [
        made(column("a", sa.Text)),
        made(column("a", sa.Text), types=["A"]),
        made(column("a", sa.Text), query=EventQuery(types=["A"]) | EventQuery(tags=["t"])),
        made(column("a", sa.Text), partitions=2),
        made(column("b", sa.Text)),
        made(column("a", sa.String(5))),
        made(column("a", sa.String(6))),
        made(column("a", sa.Text, nullable=False)),
        made(column("a", sa.Text, primary_key=True)),
        made(column("a", sa.Text, unique=True)),
        made(column("a", sa.Text, index=True)),
        made(column("a", sa.Text), sa.Index("i", "a", unique=True)),
        made(column("a", sa.Text), sa.Index("i", "a", postgresql_using="hash")),
        made(column("a", sa.Text), sa.Index("i", sa.func.lower(sa.column("a")))),
        made(column("a", sa.Text), sa.CheckConstraint("a <> ''")),
        made(column("a", sa.Text), sa.CheckConstraint("a <> 'x'")),
        made(column("a", sa.Text), sa.UniqueConstraint("id", "a")),
        made(column("a", sa.Text), sa.UniqueConstraint("a", "id")),
        made(column("a", sa.Text), column("b", sa.Text)),
    ]
    assert len({fingerprint(change) for change in changes}) == len(changes)


QUERY = '{"any_of": [{"categories": ["order"]}]}'


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ((QUERY, 2, "orders", ["id", "a"]), "other types, keys, constraints or indexes of"),
        (("{}", 2, "orders", ["id", "a"]), "another query"),
        ((QUERY, 1, "orders", ["id", "a"]), "partitions=1"),
        ((QUERY, 2, "others", ["id", "a"]), "other tables (others)"),
        ((QUERY, 2, "orders", ["id", "b"]), "other columns of table orders (b, id)"),
        (("{}", 1, "orders", ["id", "a"]), "another query and partitions=1"),
    ],
)
def test_what_has_changed_is_said(known: tuple[Any, ...], said: str) -> None:
    given = made(column("a", sa.Text), categories=["order"], partitions=2)
    assert known_with(given, [known]).startswith(said)


def test_of_a_statement_only_the_fingerprint_is_known() -> None:
    given = SqlProjection(
        "orders",
        categories=["order"],
        tables=made().tables,
        statement="SELECT FROM batch, {orders}",
    )
    said = known_with(given, [(QUERY, 1, "orders", ["id"])])
    assert said.startswith("another statement or inline, or ")
