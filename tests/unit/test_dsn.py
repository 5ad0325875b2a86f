"""What is a DSN, before a driver sees it."""

from __future__ import annotations

import pytest

from eventstore import InvalidInput
from eventstore.postgres.dsn import check_dsn


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://db/shop",
        "postgres://app:p%2Fw%40@db.example:5432/shop?sslmode=require",
        "postgresql://app@/shop?host=/run/with%20space&port=5432",
        "postgresql:///shop",
        "postgresql://app:pw@a:5432,b:5433/shop",
        "postgresql://app:pw@[::1]:5432,[::2]/shop",
        "host=/tmp dbname=shop password='a/b#c@d'",
    ],
)
def test_a_good_dsn_is_given_back(dsn: str) -> None:
    assert check_dsn(dsn) == dsn


@pytest.mark.parametrize("dsn", ["", " "])
def test_an_empty_one_is_refused_and_not_taken_for_the_default(dsn: str) -> None:
    with pytest.raises(InvalidInput, match="is empty"):
        check_dsn(dsn)
    assert check_dsn("postgresql://") == "postgresql://"


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://app:s3cr3t/x@db/shop",
        "postgresql://app:s3cr3t#x@db/shop",
        "postgresql://app:s3cr3t?x@db/shop",
        "postgresql://app:12/s3cr3t@db/shop",
        "postgresql://app:s3cr3t@db:port/shop",
        "postgresql://app:s3cr3t@[::1/shop",
        "mysql://app:s3cr3t@db/shop",
    ],
)
def test_a_bad_one_is_refused_without_a_word_of_it(dsn: str) -> None:
    with pytest.raises(InvalidInput, match="percent-encoded") as refused:
        check_dsn(dsn)
    assert "s3cr3t" not in str(refused.value)
    assert refused.value.__cause__ is None
