"""DSNs: which are taken, and that no password is ever shown."""

from __future__ import annotations

import pytest

from eventstore import InvalidInput
from eventstore.cli.psql import without_password
from eventstore.cli.target import check_dsn, database_title, hide_passwords


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


@pytest.mark.parametrize(
    ("dsn", "title"),
    [
        ("postgresql://u:hidden@h:5433/shop?sslmode=require", "shop at h:5433"),
        ("postgresql://u@/shop?host=/tmp/x&password=hidden", "shop at /tmp/x"),
        ("postgresql://u@h1,h2/a%20b", "a b at h1,h2"),
        ("postgresql://", "the default database at the default host"),
    ],
)
def test_a_database_is_named_by_what_is_no_secret(dsn: str, title: str) -> None:
    assert database_title(dsn) == title
