"""The reference libraries for consent strings, run in node."""
