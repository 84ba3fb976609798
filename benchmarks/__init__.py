"""Benchmarks: how long the work takes, on data that a seed makes. Not part of the package, not timed in tests."""
