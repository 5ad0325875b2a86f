"""Amounts of money."""

from decimal import Decimal


def money(text: str) -> Decimal:
    """Read an amount as tills write it: "12.50" or "12,50"."""
    return Decimal(text.replace(",", "."))
