"""`GET /v1/estimates` and `GET /v1/measures`: what was counted, as a reader may use it, and what a site counts. Reading spends nothing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from privacy.api import Authorise, Site
from privacy.local import keep_probability
from privacy.reading import Reading, read
from privacy.releases import ReleaseStore
from tacit.core.access import READERS, SENDERS
from tacit.core.declaration import Declaration, Measure
from tacit.core.errors import NotFound
from tacit.core.queries import Moment, milliseconds

Quantile = Annotated[list[Annotated[float, Query(gt=0, lt=1)]], Query(max_length=20, description="Of binned numbers; may be repeated.")]


def router(releases: ReleaseStore, declaration: Declaration, authorise: Authorise) -> APIRouter:
    """The room's paths for readers."""
    routes = APIRouter(prefix="/v1", tags=["privacy"])

    @routes.get("/estimates")
    def show_estimates(
        request: Request,
        measure: str,
        site: Site = None,
        since: Annotated[Moment, Query(alias="from")] = None,
        until: Annotated[Moment, Query(alias="to")] = None,
        quantile: Quantile = [],  # noqa: B006 - FastAPI copies it
        beside: Annotated[str | None, Query(alias="with", description="A measure of the same rows to be consistent with.")] = None,
    ) -> dict[str, Any]:
        """One measure over the windows that start in `[from, to)`: cells, marginals and total with intervals; means and quantiles."""
        _, named = authorise(dict(request.headers), READERS | SENDERS, site)
        wanted = Reading(milliseconds(since), milliseconds(until, "to"), tuple(quantile))
        found = _declared(declaration, named, measure)
        return read(releases, found, wanted, beside=_declared(declaration, named, beside) if beside else None)

    @routes.get("/measures")
    def list_measures(request: Request, site: Site = None) -> dict[str, Any]:
        """What the site counts: events, dimensions with their labels, and how a device randomises its answers."""
        _, named = authorise(dict(request.headers), READERS | SENDERS, site)
        return {"measures": [_described(m) for m in declaration.sites[named].measures], "next": None}

    return routes


def _declared(declaration: Declaration, site: str, name: str) -> Measure:
    found = declaration.sites[site].measure(name)
    if found is None:
        raise NotFound("the site declares no measure of that name", next_step="`GET /v1/measures` lists them.")
    return found


def _described(measure: Measure) -> dict[str, Any]:
    local = None
    if measure.local_epsilon is not None:
        epsilon = float(measure.local_epsilon)
        local = {"epsilon": epsilon, "cells": measure.cells, "keep": keep_probability(epsilon, measure.cells)}
    return {
        "name": measure.name,
        "kind": measure.kind.value,
        "event": measure.event,
        "purpose": measure.purpose,
        "dimensions": [{"name": d.name, "labels": list(d.labels), "edges": list(d.edges) or None} for d in measure.dimensions],
        "value": {"field": measure.value.field, "from": measure.value.low, "to": measure.value.high} if measure.value else None,
        "keys": {"field": measure.keys.field, "max_bytes": measure.keys.max_bytes} if measure.keys else None,
        "over_time": measure.over_time,
        "local": local,
    }
