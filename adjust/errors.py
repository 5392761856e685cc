"""What can go wrong with bundles and decisions."""

from __future__ import annotations

from tacit.core.errors import NotFound, Problem


class BundleInvalid(Problem):
    type = "bundle-invalid"
    title = "The bundle cannot be trusted"
    default_next_step = "Keep the last good bundle and fetch this one again; compare the key with /.well-known/jwks.json."


class NoBundle(NotFound):
    type = "no-bundle"
    title = "There is no bundle yet"
    default_next_step = "The sanitiser publishes the first one within seconds of its start; is `tacit serve` or `tacit worker` running?"


class UnknownPolicy(NotFound):
    type = "unknown-policy"
    title = "Unknown policy"
    default_next_step = "Name a policy or zone that tacit.yaml declares."
