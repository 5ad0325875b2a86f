"""`eventstore projections rebuild`, which ends itself, as a power failure would, at its n-th batch.

`python -m tests.projections.rebuilding POINT BATCH ARGUMENT...`; point `never` does not.
"""

from __future__ import annotations

import signal
import sys

from eventstore.cli import app
from eventstore.projections import worker
from tests.projections.crashing import POINTS, strike


def main() -> None:
    point, batch, *arguments = sys.argv[1:]
    if point in POINTS:
        strike(*POINTS[point], batch=int(batch), sign=signal.SIGKILL)
    worker.LEASE = 0.5  # type: ignore[misc] # it is taken over soon
    worker.BEAT = 0.1  # type: ignore[misc]
    app(["projections", "rebuild", "orders", *arguments])


if __name__ == "__main__":
    main()
