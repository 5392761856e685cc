"""The auditor: fairness verdicts from noisy releases, and the append-only log of what was done. It never sees an event."""
