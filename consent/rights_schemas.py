"""Bodies of the rights requests. Strict, like those of consent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from consent.models import State
from consent.rights_models import Kind, Level, Refusal, RightsRequest, Verification
from consent.schemas import KNOWN_NAMES, OfPerson, PurposeName, Strict, Word

RequestId = Annotated[str, Field(pattern=r"^rights_[0-9a-hjkmnp-tv-z]{26}$")]


class VerificationBody(Strict):
    """What the caller attests about who asks."""

    level: Literal["none", "low", "substantial", "high"]
    method: Word

    def value(self) -> Verification:
        """As the domain has it."""
        return Verification(Level(self.level), self.method)


class RightsBody(OfPerson):
    """`POST /v1/rights/access`, `/export`, `/erase`. `request_id` takes up a request that is not finished."""

    verification: VerificationBody | None = None
    request_id: RequestId | None = None

    def value(self, kind: Kind) -> RightsRequest:
        """As the domain has it."""
        return self._value(kind, None, None)

    def _value(self, kind: Kind, purposes: list[str] | None, of: State | None) -> RightsRequest:
        attested = self.verification.value() if self.verification else Verification()
        return RightsRequest(kind, self.subject, self.id_type, attested, purposes, of, self.request_id)


class HoldBody(RightsBody):
    """`POST /v1/rights/object` and `/restrict`; all purposes when none is named."""

    purposes: Annotated[list[PurposeName], Field(min_length=1, max_length=16)] | None = None

    def value(self, kind: Kind) -> RightsRequest:
        """As the domain has it."""
        return self._value(kind, [str(p) for p in self.purposes] if self.purposes is not None else None, None)


class LiftBody(HoldBody):
    """`POST /v1/rights/lift`."""

    of: Literal["objection", "restriction"]

    def value(self, kind: Kind) -> RightsRequest:
        """As the domain has it."""
        of = State.OBJECTED if self.of == "objection" else State.RESTRICTED
        return self._value(kind, [str(p) for p in self.purposes] if self.purposes is not None else None, of)


class AboutBody(Strict):
    """`POST /v1/rights/query` and `/extend`."""

    request_id: RequestId


class RejectBody(AboutBody):
    """`POST /v1/rights/reject`."""

    reason: Literal["not_identified", "manifestly_unfounded", "needed_for_legal_claims", "cancelled"]

    def refusal(self) -> Refusal:
        """As the domain has it."""
        return Refusal(self.reason)


BODIES: dict[Kind, type[RightsBody]] = {
    Kind.ACCESS: RightsBody,
    Kind.EXPORT: RightsBody,
    Kind.ERASE: RightsBody,
    Kind.OBJECT: HoldBody,
    Kind.RESTRICT: HoldBody,
    Kind.LIFT: LiftBody,
}

RIGHTS_NAMES = KNOWN_NAMES | {name for body in (LiftBody, RejectBody, VerificationBody) for name in body.model_fields}
"""The only names that an error's pointer may repeat."""
