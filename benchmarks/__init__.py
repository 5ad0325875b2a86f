"""Benchmarks: each measures its limit in the same run on the same machine and gives a ratio."""
