"""Tests mirror the packages; `architecture`, `http`, `faults` and `e2e` look at the whole."""
