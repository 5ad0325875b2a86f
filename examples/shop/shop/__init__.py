"""A small shop in two bounded contexts: sales, and the emails that its customers get.

The log is the border between them: neither imports the other, and each keeps read tables of its own
from the events that it cares for. `eventstore worker shop:app` keeps both up to date.
"""

from eventstore import App

from .emails import emails
from .sales import sales

__all__ = ["app"]

app = App(projections=[sales, emails])
