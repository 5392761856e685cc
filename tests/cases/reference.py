"""docs/evaluation.md read word by word into plain Python, for making the vectors: nothing here is shared with what is tested.

Numbers instead of bytes, recursion instead of closures, everything looked up afresh for every question.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

LARGEST = 9007199254740991
UNITS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
DIGITS = "0123456789"


def text(value: Any) -> str | None:
    if type(value) is str:
        return value
    if type(value) not in (int, float) or value != value or value > LARGEST or value < -LARGEST:
        return None
    if value % 1 == 0:
        return f"{value:.0f}".replace("-0", "0") if value == 0 else f"{value:.0f}"
    return str(value) if value >= 0.0001 or value <= -0.0001 else None


def number(value: Any) -> float | None:
    if type(value) is str:
        whole, point, rest = value.removeprefix("-").partition(".")
        parts = [whole, rest] if point else [whole]
        return float(value) if all(1 <= len(p) <= 15 and all(c in DIGITS for c in p) for p in parts) else None
    return value if type(value) in (int, float) and -LARGEST <= value <= LARGEST else None


def version(value: Any) -> list[int] | None:
    found = text(value)
    parts = [] if found is None else found.split(".")
    if not 1 <= len(parts) <= 6 or not all(1 <= len(p) <= 9 and all(c in DIGITS for c in p) for p in parts):
        return None
    numbers = [int(p) for p in parts]
    while len(numbers) < 6:
        numbers.append(0)
    return numbers


def compare(op: str, a: Any, b: Any) -> bool:
    if op == "eq":
        return bool(a == b)
    if op == "gt":
        return bool(a > b)
    if op == "ge":
        return bool(a >= b)
    if op == "lt":
        return bool(a < b)
    assert op == "le"
    return bool(a <= b)


def judge(op: str, value: Any, wanted: Any, read: Any, ordered: Any) -> bool:
    """`read` is how equality reads a value, `ordered` how an order does."""
    if op == "exists":
        return (read(value) is not None) == wanted
    if op in ("gt", "ge", "lt", "le", "between"):
        found = ordered(value)
        if found is None:
            return False
        return wanted[0] <= found <= wanted[1] if op == "between" else compare(op, found, wanted)
    if op.startswith("version_"):
        found = version(value)
        return found is not None and compare(op[8:], found, version(wanted))
    found = read(value)
    if found is None:
        return False
    if op == "starts_with":
        return bool(found[: len(wanted)] == wanted)
    if op == "ends_with":
        return bool(found[-len(wanted) :] == wanted)
    if op == "contains":
        return any(found[i : i + len(wanted)] == wanted for i in range(len(found)))
    equal = any(found == read(one) for one in (wanted if op in ("in", "not_in") else [wanted]))
    return equal if op in ("eq", "in") else not equal


def holds(expression: dict[str, Any], fields: dict[str, Any], leaf: Any) -> bool:
    for name, inner in expression.items():
        if name == "all":
            return all(holds(one, fields, leaf) for one in inner)
        if name == "any":
            return any(holds(one, fields, leaf) for one in inner)
        if name == "not":
            return not holds(inner, fields, leaf)
        return bool(leaf(name, inner, fields))
    raise AssertionError("an expression has one member")


def targeted(expression: dict[str, Any], context: dict[str, Any]) -> bool:
    def leaf(name: str, comparisons: dict[str, Any], fields: dict[str, Any]) -> bool:
        return all(judge(op, fields.get(name), wanted, text, number) for op, wanted in comparisons.items())

    return holds(expression, context, leaf)


def plain_number(value: Any) -> float | None:
    return None if type(value) is str else number(value)


def plain_flag(value: Any) -> bool | None:
    return value if value is True or value is False else None


def recent(entries: Any, asked: dict[str, Any], names: tuple[str, ...]) -> int:
    oldest = int(asked["within"][:-1]) * UNITS[asked["within"][-1]]
    found = 0
    for entry in entries if type(entries) is list else []:
        if type(entry) is not dict or plain_number(entry.get("ago_seconds")) is None or not 0 <= entry["ago_seconds"] <= oldest:
            continue
        if all(name not in asked or entry.get(name) == asked[name] for name in names):
            found += 1
    return found


def triggered(expression: dict[str, Any], signals: dict[str, Any]) -> bool:
    def leaf(name: str, inner: Any, fields: dict[str, Any]) -> bool:
        if name == "debounce_seconds":
            quiet = plain_number(fields.get("quiet_seconds"))
            return quiet is not None and quiet >= inner
        if name == "repeated":
            return recent(fields.get("events"), inner, ("event", "field")) >= inner["times"]
        if name == "shown_times":
            return recent(fields.get("shown"), inner, ("policy", "zone")) < inner["most"]
        read = plain_flag if name == "exit_intent" else plain_number
        return all(judge(op, fields.get(name), wanted, read, read) for op, wanted in inner.items())

    return holds(expression, signals, leaf)


def draw(name: str, kind: str, place: str, unit: str) -> int:
    line = (name + kind + "\0" + place + "\0" + unit).encode("utf-8", "surrogatepass")
    return int(hashlib.sha256(line).hexdigest()[:8], 16)


def milliseconds(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def decide(bundle: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    """`question`: policy or zone, context, unit, signals or None, now_ms."""
    if question.get("policy") is not None:
        names = [question["policy"]]
    else:
        names = [name for name, entry in bundle["policies"].items() if entry["zone"] == question["zone"]]
    answers = [_decide(bundle, name, question) for name in names]
    return next((one for one in answers if one.get("counted", True)), answers[0])


def _decide(bundle: dict[str, Any], name: str, question: dict[str, Any]) -> dict[str, Any]:
    entry, site, unit = bundle["policies"][name], bundle["site"], question["unit"]
    context = {key: question["context"].get(key) for key in entry["order"]["context"]}
    labels = []
    for key in entry["order"]["context"]:
        found = text(context[key])
        labels.append(found if found in entry["context"][key] else "other")
    cell = "|".join(map(str, labels))
    arms = entry["order"]["arms"]

    def stopped(reason: str) -> dict[str, Any]:
        return {"policy": name, "arm": arms[0], "propensity": 1.0, "cell": cell, "reason": reason, "counted": False}

    if entry["kill"]:
        return stopped("killed")
    if entry["state"] != "running":
        return stopped("paused")
    schedule = entry["schedule"] or {"start": None, "stop": None}
    if schedule["start"] and question["now_ms"] < milliseconds(schedule["start"]):
        return stopped("not_started")
    if schedule["stop"] and question["now_ms"] >= milliseconds(schedule["stop"]):
        return stopped("ended")
    if entry["targeting"] and not targeted(entry["targeting"], context):
        return stopped("not_targeted")
    if entry["trigger"] and question["signals"] is not None and not triggered(entry["trigger"], question["signals"]):
        return stopped("not_triggered")
    if entry["namespace"]:
        space = entry["namespace"]
        place = draw(space["name"], ":namespace", site, unit)
        if place < int(space["from"] * 2**32) or place >= int(space["to"] * 2**32):
            return stopped("excluded")
    if entry["rollout"] < 1 and draw(name, ":rollout", site, unit) >= int(entry["rollout"] * 2**32):
        return stopped("not_rolled_out")
    treated = 1.0
    out = False
    for one in entry["holdouts"]:
        border = int(one["share"] * 2**32)
        treated *= 1 - border / 2**32
        out = out or draw(one["name"], ":holdout", site, unit) < border
    if out:
        return {"policy": name, "arm": "holdout", "propensity": 1 - treated, "cell": cell, "reason": "holdout"}
    weights = entry["weights"].get(cell, entry["default"])
    x = draw(name, "", bundle["salt"], unit) * 65535 // 2**32
    at = [x < w for w in weights].index(True)
    share = (weights[at] - (weights[at - 1] if at else 0)) / 65535
    reason = "weights" if cell in entry["weights"] else "default"
    return {"policy": name, "arm": arms[at], "propensity": share * treated, "cell": cell, "reason": reason}
