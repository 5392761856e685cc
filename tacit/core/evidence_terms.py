"""What an installation says about its evidence log: under which name it signs, who may read it, who witnesses it, where it is anchored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AnchorTerms:
    """How often a checkpoint is put where we cannot take it back, and where; `mail` are addresses."""

    every_ms: int = 86_400_000
    folder: Path | None = None
    mail: tuple[str, ...] = ()
    webhook: str | None = None


@dataclass(frozen=True, slots=True)
class EvidenceTerms:
    """`origin` is the log's name, made from its key when left out; `public` opens heads, proofs and hashes to everybody."""

    origin: str | None = None
    public: bool = False
    witnesses: tuple[str, ...] = ()
    anchor: AnchorTerms | None = None
