"""The registry: every model version of every policy, written once. Which one serves is a standing order (`controls`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select

from adjust.errors import PolicyState, UnknownModel
from adjust.models import Model
from adjust.tables import models
from tacit.core.db import reading
from tacit.core.evidence import canonical


class ModelStore:
    """Model versions in the released vault."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def numbered(self, model: Model) -> tuple[Model, bool]:
        """The model with its version's number, and whether it is new: the latest version is the same one where nothing was learned."""
        query = select(models.c.version, models.c.sha256).where(*_of(model.site, model.policy)).order_by(models.c.version.desc()).limit(1)
        with reading(self.engine) as connection:
            last = connection.execute(query).first()
        if last is not None and last.sha256 == model.sha256:
            return _with(model, last.version), False
        return _with(model, last.version + 1 if last is not None else 1), True

    def keep(self, found: Sequence[Model], connection: Connection) -> None:
        """Write new versions in the caller's transaction."""
        for model in found:
            row: dict[str, Any] = {name: getattr(model, name) for name in ("site", "policy", "version", "at_ms", "learner", "sha256")}
            for name in ("releases", "parameters", "metrics", "weights"):
                row[f"{name}_json"] = canonical(getattr(model, name)).decode()
            connection.execute(insert(models).values(**row))

    def list(self, site: str, policy: str, *, before: int | None = None, limit: int = 100) -> list[Model]:
        """Newest first, those below version `before` if one is named."""
        query = select(models).where(*_of(site, policy), *([models.c.version < before] if before is not None else []))
        with reading(self.engine) as connection:
            return [_model(row) for row in connection.execute(query.order_by(models.c.version.desc()).limit(limit))]

    def get(self, site: str, policy: str, version: int) -> Model:
        """One version. Raises `UnknownModel`."""
        with reading(self.engine) as connection:
            row = connection.execute(select(models).where(*_of(site, policy), models.c.version == version)).first()
        if row is None:
            raise UnknownModel("the policy has no such version")
        return _model(row)

    def servable(self, site: str, policy: str, version: int) -> Model:
        """A version whose weights fit the policy as it is now. Raises `UnknownModel` and `PolicyState`."""
        found = self.get(site, policy, version)
        if not found.fits(self.list(site, policy, limit=1)[0].weights):
            raise PolicyState("that version is for other arms or another context", next_step="Name a version that fits the policy.")
        return found


def _of(site: str, policy: str) -> tuple[Any, Any]:
    return models.c.site == site, models.c.policy == policy


def _with(model: Model, version: int) -> Model:
    return Model(
        model.site, model.policy, version, model.at_ms, model.learner, model.releases, model.parameters, model.metrics, model.weights
    )


def _model(row: Row[Any]) -> Model:
    read = [json.loads(getattr(row, f"{name}_json")) for name in ("releases", "parameters", "metrics", "weights")]
    return Model(row.site, row.policy, row.version, row.at_ms, row.learner, *read)
