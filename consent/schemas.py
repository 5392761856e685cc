"""Bodies of the consent requests. Strict: an unknown key, a `"yes"` for a boolean or an unknown purpose is refused, never guessed.

Texts that are stored have narrow alphabets, so that no field is a place to put a name or an address.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from consent.models import Notice, Signals
from consent.service import PAGE


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _whole(number: object) -> object:
    """JSON has one kind of number: 63.0 is 63."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


PurposeName = Literal["measurement", "personalisation", "fairness_audit"]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,31}$")]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}$")]
Subject = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_not_blank)]
SignalText = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,8192}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class NoticeBody(_Strict):
    """The text that was shown: its id, version and locale, and the SHA-256 of its bytes."""

    id: Label
    version: Label
    locale: Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]

    def value(self) -> Notice:
        """As the domain has it."""
        return Notice(self.id, self.version, self.locale, self.sha256.lower())


class SignalsBody(_Strict):
    """Signals of the browser. TCF and GPP strings are kept as proof; `gpc: true` removes, like the header."""

    tcf: SignalText | None = None
    gpp: SignalText | None = None
    gpc: bool | None = None

    def value(self, *, header: bool) -> Signals:
        """As the domain has it; `header` says whether `Sec-GPC: 1` was sent."""
        return Signals(self.tcf, self.gpp, header or self.gpc is True)


class _OfPerson(_Strict):
    subject: Subject = Field(repr=False)
    id_type: Word = "user"


class ConsentBody(_OfPerson):
    """`POST /v1/consents`."""

    jurisdiction: Word | None = None
    purposes: Annotated[dict[PurposeName, bool], Field(min_length=1)]
    notice: NoticeBody
    method: Word
    signals: SignalsBody = SignalsBody()
    age_band: Label | None = None


class _OfPurposes(_OfPerson):
    purposes: Annotated[list[PurposeName], Field(min_length=1, max_length=16)] | None = None


class QueryBody(_OfPurposes):
    """`POST /v1/consents/query`; all purposes when none is named."""


class WithdrawBody(_OfPurposes):
    """`POST /v1/consents/withdraw`; all purposes when none is named."""

    method: Word = "api"
    jurisdiction: Word | None = None


class HistoryBody(_OfPurposes):
    """`POST /v1/consents/history`; pass on `next` as `cursor`."""

    limit: Annotated[int, Field(ge=1, le=PAGE), BeforeValidator(_whole)] = PAGE
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,9}$")] | None = None


KNOWN_NAMES = frozenset(
    name for body in (ConsentBody, QueryBody, WithdrawBody, HistoryBody, NoticeBody, SignalsBody) for name in body.model_fields
) | {"measurement", "personalisation", "fairness_audit"}
"""The only names that an error's pointer may repeat."""
