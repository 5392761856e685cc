"""What can stop a decision, a bundle or an experiment's result."""

from __future__ import annotations

from tacit.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, Problem


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


class UnknownModel(NotFound):
    """No such version of the policy's model."""

    type = "unknown-model"
    title = "Unknown model version"
    default_next_step = "`tacit models list` and GET /v1/models name the versions there are."


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


class Unchangeable(InvalidRequest):
    """What would change the meaning of released numbers cannot be changed while they are collected."""

    type = "unchangeable"
    title = "A version cannot change this"
    default_next_step = "Change tacit.yaml and restart: what is counted changes with it, and older evidence is kept apart."


class FourEyes(Forbidden):
    """Nobody approves a version of his own."""

    type = "four-eyes"
    title = "Somebody else has to approve this"
    default_next_step = "Let the holder of another manager or admin key approve it."


class PolicyState(Conflict):
    """The policy or version is not in a state in which this can be done."""

    type = "policy-state"
    title = "Not possible in this state"
    default_next_step = "GET /v1/policies/{name} has every version with its state."


class Unfair(Problem):
    """Limits on differences that no allocation keeps."""

    type = "limits-conflict"
    title = "The limits cannot be kept together"
    default_next_step = "Widen a limit or a cap, or pause the policy."


class NothingToCorrect(Problem):
    """A correction that would change nothing, or nothing that it is about."""

    type = "nothing-to-correct"
    title = "There is nothing to correct"
    default_next_step = "Look at what the finding compares; pausing, capping an arm or equalising exposure are always possible."
