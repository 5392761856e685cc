"""The same count by other libraries, in an environment of their own: `make bench-peers`."""
