"""What the signals beside a request say, each by itself. A string that cannot be read, or may not be relied on, removes."""

from __future__ import annotations

from dataclasses import dataclass

from consent.models import Cause, Signals
from consent.signals import gpp, tcf
from consent.signals.errors import SignalInvalid
from consent.signals.mapping import REMOVED, SILENCE, Effects, from_gpc, from_gpp, from_tcf
from consent.signals.tcf import TcString
from consent.signals.validity import validity

ACCOUNTS = frozenset({"user", "account", "customer", "member", "email", "phone"})
"""Kinds of identifiers that people bring themselves. Every other kind may have been read from the device, which TCF asks about apart."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One signal: `said` is a word for it, `cause` the code of what it removes, `details` are codes of what is wrong with it."""

    name: str
    said: str
    effects: Effects
    cause: Cause
    details: tuple[str, ...] = ()


def hear(signals: Signals, *, id_type: str, now_ms: int) -> tuple[Heard, ...]:
    """Global Privacy Control, TCF and GPP, in the order in which they decide."""
    device_id = id_type not in ACCOUNTS
    control = Heard("gpc", "opted_out" if signals.gpc else "silent", from_gpc(signals.gpc), Cause.GPC)
    return (
        control,
        _tcf(signals.tcf, device_id=device_id, now_ms=now_ms),
        _gpp(signals.gpp, device_id=device_id, now_ms=now_ms),
    )


def _tcf(text: str | None, *, device_id: bool, now_ms: int) -> Heard:
    if text is None:
        return Heard("tcf", "silent", SILENCE, Cause.TCF)
    try:
        string = tcf.decode(text)
    except SignalInvalid as problem:
        return _unreadable("tcf", problem)
    effects = from_tcf(string, now_ms=now_ms, device_id=device_id)
    return _judged("tcf", effects, Cause.TCF, string, now_ms=now_ms)


def _gpp(text: str | None, *, device_id: bool, now_ms: int) -> Heard:
    if text is None:
        return Heard("gpp", "silent", SILENCE, Cause.GPP)
    try:
        string = gpp.decode(text)
    except SignalInvalid as problem:
        return _unreadable("gpp", problem)
    effects = from_gpp(string, now_ms=now_ms, device_id=device_id)
    return _judged("gpp", effects, Cause.GPP, string.europe, now_ms=now_ms)


def _judged(name: str, effects: Effects, cause: Cause, string: TcString | None, *, now_ms: int) -> Heard:
    doubts = validity(string, now_ms=now_ms).reasons if string is not None else ()
    if doubts:
        return Heard(name, "invalid", effects, Cause.SIGNAL_INVALID, tuple(doubt.value for doubt in doubts))
    return Heard(name, "read", effects, cause)


def _unreadable(name: str, problem: SignalInvalid) -> Heard:
    return Heard(name, "unreadable", REMOVED, Cause.SIGNAL_UNREADABLE, (problem.code.value,))
