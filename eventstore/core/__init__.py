"""The functional core: what events, streams, queries and batches are. No I/O, stdlib only."""
