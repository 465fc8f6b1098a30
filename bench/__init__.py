"""Reproducible measurements; `make bench` runs them and writes RESULTS.md."""
