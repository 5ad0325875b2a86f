"""Running projections: read tables, batches, leases, workers."""
