"""Bodies of the consent requests. Strict: an unknown key, a `"yes"` for a boolean or an unknown purpose is refused, never guessed.

Texts that are stored have narrow alphabets, so that no field is a place to put a name or an address.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict, JsonValue
from pydantic_core import PydanticCustomError

from consent.models import ConsentRequest, Notice, Signals
from consent.service import PAGE
from tacit.core.clock import from_iso


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _whole(number: object) -> object:
    """JSON has one kind of number: 63.0 is 63."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


PurposeName = Literal["measurement", "personalisation", "fairness_audit"]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
LABEL = r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$"
Label = Annotated[str, Field(pattern=LABEL)]
NOT_BLANK: JsonDict = {"pattern": r"[^\s\x1c-\x1f\x85]"}
Subject = Annotated[str, Field(min_length=1, max_length=256, json_schema_extra=NOT_BLANK), AfterValidator(_not_blank)]
_DAY = (
    "20([0-9]{2}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    "|(0[048]|[2468][048]|[13579][26])-02-29)"
)
Moment = Annotated[
    str, Field(pattern=rf"^{_DAY}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])$")
]
"""A time of this century with its zone, for example `2026-01-31T12:00:00Z`; the schema says all of it."""
Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
SignalText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,8192}$")]


class Strict(BaseModel):
    """Refuses unknown keys and conversions, and shows no input in its errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class NoticeBody(Strict):
    """The text that was shown: its id, version and locale, and the SHA-256 of its bytes."""

    id: Label
    version: Label
    locale: Locale
    sha256: Sha256

    def value(self) -> Notice:
        """As the domain has it."""
        return Notice(self.id, self.version, self.locale, self.sha256.lower())


class SignalsBody(Strict):
    """Signals of the browser. TCF and GPP strings are kept as proof; `gpc: true` removes, like the header."""

    tcf: SignalText | None = None
    gpp: SignalText | None = None
    gpc: bool | None = None

    def value(self, *, header: bool) -> Signals:
        """As the domain has it; `header` says whether `Sec-GPC: 1` was sent."""
        return Signals(self.tcf, self.gpp, header or self.gpc is True)


class OfPerson(Strict):
    """A request about one person, by a presented identifier."""

    subject: Subject = Field(repr=False)
    id_type: Word = "user"


_SIGNAL: list[JsonValue] = [
    {"required": ["tcf"], "properties": {"tcf": {"type": "string"}}},
    {"required": ["gpp"], "properties": {"gpp": {"type": "string"}}},
    {"required": ["gpc"], "properties": {"gpc": {"const": True}}},
]
_CHOICE_OR_SIGNAL: JsonDict = {
    "anyOf": [
        {"required": ["purposes"], "properties": {"purposes": {"type": "object"}}},
        {"required": ["signals"], "properties": {"signals": {"anyOf": _SIGNAL}}},
    ]
}


class ConsentBody(OfPerson):
    """`POST /v1/consents`. Without `purposes`, what `signals` say is recorded; one of the two is needed."""

    model_config = ConfigDict(json_schema_extra=_CHOICE_OR_SIGNAL)

    jurisdiction: Word | None = None
    purposes: Annotated[dict[PurposeName, bool], Field(min_length=1)] | None = None
    notice: NoticeBody
    method: Word
    signals: SignalsBody = SignalsBody()
    age_band: Label | None = None
    parental: bool = False
    at: Moment | None = None

    @model_validator(mode="after")
    def _something_is_said(self) -> ConsentBody:
        if self.purposes is None and not self.signals.value(header=False).any():
            raise PydanticCustomError("nothing_said", "purposes, or signals with a tcf or gpp string or gpc true, are needed")
        return self

    def value(self, *, jurisdiction: str, gpc: bool) -> ConsentRequest:
        """As the domain has it; `gpc` says whether `Sec-GPC: 1` was sent."""
        return ConsentRequest(
            subject=self.subject,
            purposes={str(purpose): granted for purpose, granted in (self.purposes or {}).items()},
            notice=self.notice.value(),
            method=self.method,
            id_type=self.id_type,
            jurisdiction=jurisdiction,
            signals=self.signals.value(header=gpc),
            age_band=self.age_band,
            parental=self.parental,
            client_at_ms=from_iso(self.at) if self.at is not None else None,
        )


class _OfPurposes(OfPerson):
    purposes: Annotated[list[PurposeName], Field(min_length=1, max_length=16)] | None = None


class QueryBody(_OfPurposes):
    """`POST /v1/consents/query`; all purposes when none is named."""


class ExplainBody(_OfPurposes):
    """`POST /v1/consents/explain`; all purposes when none is named. Signals as they would come with the next request."""

    signals: SignalsBody = SignalsBody()


class WithdrawBody(_OfPurposes):
    """`POST /v1/consents/withdraw`; all purposes when none is named."""

    method: Word = "api"
    jurisdiction: Word | None = None


def _either(one: str, other: str) -> JsonDict:
    """That both may be given if they agree is more than a schema can say."""
    return {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}


class NoticeTextBody(Strict):
    """`PUT /v1/notices/{id}`: one locale of one version. `text` or `sha256` of its bytes in UTF-8, or both."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_either("text", "sha256"), _either("sha256", "text")]})

    version: Label
    locale: Locale
    sha256: Sha256 | None = None
    text: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    material: bool = False


class ServedBody(OfPerson):
    """`POST /v1/notices/{id}/served`."""

    version: Label
    locale: Locale


class HistoryBody(_OfPurposes):
    """`POST /v1/consents/history`; pass on `next` as `cursor`."""

    limit: Annotated[int, Field(ge=1, le=PAGE), BeforeValidator(_whole)] = PAGE
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None


class ReceiptBody(OfPerson):
    """`POST /v1/consents/receipt`."""

    receipt_id: Annotated[str, Field(pattern=r"^rcpt_[0-9a-hjkmnp-tv-z]{26}$")]


KNOWN_NAMES = frozenset(
    name
    for body in (
        *(ConsentBody, QueryBody, ExplainBody, WithdrawBody, HistoryBody, ReceiptBody),
        *(NoticeBody, SignalsBody, NoticeTextBody, ServedBody),
    )
    for name in body.model_fields
) | {"measurement", "personalisation", "fairness_audit"}
"""The only names that an error's pointer may repeat."""
