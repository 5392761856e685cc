"""Benchmarks: `python -m benchmarks` or `make bench`. Never run by the tests; ratios are taken side by side in one run."""
