"""Which database or service a command talks to, and that no password is ever shown."""

from __future__ import annotations

import pytest
import typer

from eventstore import InvalidInput
from eventstore.cli.psql import without_password
from eventstore.cli.target import DEFAULT_URL, Target, check_dsn, hide_passwords, resolve

DSN = "postgresql://u@h/db"
OTHER = "postgresql://u@other/db"
URL = "http://service:1"


@pytest.mark.parametrize(
    ("dsn", "url", "schema", "environ", "expected"),
    [
        (None, None, None, {}, Target(None, DEFAULT_URL, "eventstore")),
        (None, URL, None, {}, Target(None, URL, "eventstore")),
        (DSN, None, None, {}, Target(DSN, None, "eventstore")),
        (DSN, None, "shop", {"EVENTSTORE_SCHEMA": "x"}, Target(DSN, None, "shop")),
        (DSN, None, None, {"EVENTSTORE_SCHEMA": "shop"}, Target(DSN, None, "shop")),
        (None, None, None, {"EVENTSTORE_URL": URL}, Target(None, URL, "eventstore")),
        (None, None, None, {"EVENTSTORE_DSN": DSN}, Target(DSN, None, "eventstore")),
        (
            None,
            None,
            None,
            {"EVENTSTORE_DSN": DSN, "EVENTSTORE_URL": URL},
            Target(DSN, None, "eventstore"),
        ),
        (None, URL, None, {"EVENTSTORE_DSN": DSN}, Target(None, URL, "eventstore")),
        (OTHER, None, None, {"EVENTSTORE_DSN": DSN}, Target(OTHER, None, "eventstore")),
        (None, None, None, {"EVENTSTORE_DSN": ""}, Target(None, DEFAULT_URL, "eventstore")),
        (None, None, None, {"EVENTSTORE_SCHEMA": "x"}, Target(None, DEFAULT_URL, "eventstore")),
    ],
)
def test_options_win_over_the_environment_and_a_dsn_over_a_url(
    dsn: str | None, url: str | None, schema: str | None, environ: dict[str, str], expected: Target
) -> None:
    assert resolve(dsn, url, schema, environ) == expected


@pytest.mark.parametrize(("dsn", "url", "schema"), [(DSN, URL, None), (None, URL, "shop")])
def test_options_that_contradict_each_other_are_refused(
    dsn: str | None, url: str | None, schema: str | None
) -> None:
    with pytest.raises(typer.BadParameter):
        resolve(dsn, url, schema, {})


def test_a_schema_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="schema name"):
        resolve(DSN, None, 'x"; DROP', {})


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://",
        "postgres://u:p%23@h:5432/db",
        "postgresql://u@/db?host=/tmp/x&port=5432",
        "postgresql://u@[::1]:5432/db",
        "postgresql://u@h1:5432,h2:5433/db",
    ],
)
def test_a_dsn_is_a_uri_of_postgresql(dsn: str) -> None:
    assert check_dsn(dsn) == dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "host=h password=hidden",
        "mysql://u:hidden@h/db",
        "postgresql://u:hid#den@h/db",
        "postgresql://u:hid/den@h/db",
        "postgresql://u:hid?den@h/db",
        "postgresql://u:x@h:hidden/db",
        "postgresql://u:hidden@[::1/db",
    ],
)
def test_a_dsn_that_is_none_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_dsn(dsn)
    assert "hid" not in str(refused.value)
    assert "percent-encoded" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at postgresql://u:hidden@h/db: no", "at postgresql://u:***@h/db: no"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://u@/db?password=hidden&x=1", "postgresql://u@/db?password=***&x=1"),
        ("http://host:80/a@b", "http://host:80/a@b"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_passwords_are_hidden_wherever_a_dsn_is_shown(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://u:p%23q@h/db?a=b", ("postgresql://u@h/db?a=b", "p#q")),
        ("postgresql://u@h/db", ("postgresql://u@h/db", None)),
        ("postgresql:///db?host=/tmp/x", ("postgresql:///db?host=/tmp/x", None)),
    ],
)
def test_psql_gets_the_password_apart_from_its_command_line(
    dsn: str, expected: tuple[str, str | None]
) -> None:
    assert without_password(dsn) == expected
