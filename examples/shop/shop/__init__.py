"""A small shop in two bounded contexts: sales, and the emails that its customers get.

The log is the border between them: neither imports the other, and each keeps read tables of its own
from the events that it cares for. `eventstore serve --app shop:app` runs all of it.
"""

from eventstore import App

from .emails import contacts, emails, letters
from .sales import order, sales

__all__ = ["app"]

app = App(deciders=[order], projections=[sales, contacts], reactors=[letters, emails])
