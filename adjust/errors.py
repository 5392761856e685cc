"""What can stop a decision, a bundle or an experiment's result."""

from __future__ import annotations

from tacit.core.errors import NotFound, Problem


class NoBundle(NotFound):
    """Nothing was published for the site so far, so nobody can be decided for."""

    type = "no-bundle"
    title = "There is no bundle yet"
    default_next_step = "Show the default arm; the sanitiser publishes the first bundle within a second of its start."


class UnknownPolicy(NotFound):
    """No policy of that name or zone; the name itself is never repeated."""

    type = "unknown-policy"
    title = "Unknown policy"
    default_next_step = "Name a `policy` or `zone` that tacit.yaml declares; a new one appears with the next bundle."


class BundleInvalid(Problem):
    """A bundle that was not signed by this installation, was changed, or is not a bundle."""

    type = "bundle-invalid"
    title = "The bundle is not valid"
    default_next_step = "Keep the last good bundle, and fetch the key again from /.well-known/jwks.json."


class Busy(Problem):
    """This process serves as much as it may at once."""

    type = "busy"
    title = "Busy"
    default_next_step = "Try again in a moment."


class Unfair(Problem):
    """Limits on differences that no allocation keeps."""

    type = "limits-conflict"
    title = "The limits cannot be kept together"
    default_next_step = "Widen a limit or a cap, or pause the policy."
