"""A report as a document: headings, sentences, tables and interval charts in reading order. The page and the PDF draw exactly this.

The verdict's sentence comes first; an interval always stands before its point; what could not be assessed is said, not left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GLOSSARY = (
    ("simultaneous interval", "Holds all true differences of the report together with a confidence of 95 %."),
    ("within limits", "The interval lies inside the limit on both sides."),
    ("breach", "The interval lies wholly outside the limit."),
    ("attention", "The interval excludes zero but is not wholly outside the limit."),
    ("cannot tell", "Everything else: the figures are too few or too noisy."),
    ("not assessable", "A group whose noisy number of people is too small for any statement about it."),
    ("smallest detectable difference", "A true difference that this number of people and this noise would show four times in five."),
    ("noise", "Random numbers that were added to every count before anybody saw it, so that no single person can be made out."),
)

METHOD = (
    "Each group is compared with everybody in the other named groups of its dimension. A noisy rate has the variance of sampling people "
    "and the known variance of the privacy noise (delta method); test and interval are the score test's (Mee 1984), with the noise added. "
    "P-values are adjusted for all comparisons of the scan (Holm 1979), intervals are simultaneous (Bonferroni). The largest gap between "
    "any two groups has a p-value calibrated on equal groups of the same sizes and noise."
)


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts; the first column names the row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One interval of a chart, in percentage points; without `low` it is not assessable."""

    label: str
    verdict: str
    low: float | None
    high: float | None
    point: float | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Intervals against zero and the accepted band, in percentage points."""

    caption: str
    limit: float
    reach: float
    """Both ends of the axis, from zero."""
    bars: tuple[Bar, ...]

    @property
    def alternative(self) -> str:
        """The chart in words, for who does not see it."""
        parts = [
            f"{bar.label}: not assessable" if bar.low is None or bar.high is None else f"{bar.label}: {bar.low:+.1f} to {bar.high:+.1f}"
            for bar in self.bars
        ]
        return f"{self.caption}. Accepted: within {self.limit:.1f} points of zero. " + "; ".join(parts) + "."


Block = Text | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    verdict: str
    sentence: str
    sections: tuple[Section, ...]


def document_of(content: Mapping[str, Any], *, sha256: str) -> Document:
    """The document of a report's canonical content; `sha256` is the content's hash."""
    scan = content["scan"]
    window = scan.get("window")
    period = f"{window['start']} to {window['end']}" if window else "no releases yet"
    return Document(
        title=f"Bias audit {content['audit']}",
        subtitle=f"Site {content['site']}, policy {content['policy']}, scan of {scan['at']}, data of {period}",
        verdict=content["verdict"],
        sentence=content["sentence"],
        sections=tuple(_sections(content, sha256)),
    )


def _sections(content: Mapping[str, Any], sha256: str) -> Iterator[Section]:
    scan, limit = content["scan"], content["limit"]
    yield Section("Groups", tuple(_groups(scan["comparisons"], limit["value"])))
    if scan.get("gaps"):
        rows = [(_what(g), _points(g["gap"]), _p(g["p"])) for g in scan["gaps"]]
        yield Section("Largest gaps", (Table("Largest difference between any two groups", ("what", "gap", "p"), tuple(rows)),))
    if section := content.get("preset_section"):
        tables = [Table(t["title"], tuple(t["columns"]), tuple(map(tuple, t["rows"]))) for t in section["tables"] if t["rows"]]
        yield Section(section["title"], (Text(section["statement"]), *tables, *(Text(note) for note in section["notes"])))
    yield Section("What could not be assessed", tuple(_gaps_of_knowledge(content)))
    yield Section("Method", (Text(METHOD), *(Text(line) for line in scan.get("assumptions", ()))))
    yield Section("Data and mechanism", tuple(_data(content)))
    yield Section("Limits", (Text(f"Accepted difference: ±{100 * limit['value']:.1f} percentage points. Origin: {limit['origin']}"),))
    yield Section("Findings", tuple(_findings(content["findings"])))
    yield Section("Words", (Table("What the words mean", ("word", "meaning"), GLOSSARY),))
    yield Section("How to verify this report", tuple(_verification(content, sha256)))


def _groups(comparisons: Sequence[Mapping[str, Any]], limit: float) -> Iterator[Block]:
    for kind in dict.fromkeys((c["dimension"], c["statistic"], c["arm"]) for c in comparisons):
        mine = [c for c in comparisons if (c["dimension"], c["statistic"], c["arm"]) == kind]
        caption = f"{_what(mine[0])} by {kind[0]}"
        bars = tuple(_bar(c) for c in mine)
        reach = 100 * max([limit * 1.4, *(abs(edge) for c in mine for edge in c["interval"] or ())])
        yield Chart(f"{caption}: each group against all others, percentage points", 100 * limit, reach, bars)
        columns = ("group", "interval", "best guess", "rate", "adjusted p", "people ± noise", "smallest detectable", "verdict")
        yield Table(caption, columns, tuple(_row(c) for c in mine))


def _bar(c: Mapping[str, Any]) -> Bar:
    low, high = c["interval"] or (None, None)
    if low is None or high is None:
        return Bar(c["group"], c["verdict"], None, None, None)
    return Bar(c["group"], c["verdict"], 100 * low, 100 * high, 100 * c["difference"])


def _row(c: Mapping[str, Any]) -> tuple[str, ...]:
    people = f"{c['people']:,.0f} ± {c['people_sd']:,.0f}"
    if c["interval"] is None:
        return (c["group"], "not assessable", "", "", "", people, "", c["verdict"])
    low, high = c["interval"]
    return (
        c["group"],
        f"{100 * low:+.1f} to {100 * high:+.1f}",
        f"{100 * c['difference']:+.1f}",
        f"{100 * c['rate']:.1f} %",
        _p(c["p"]),
        people,
        "" if c["detectable"] is None else _points(c["detectable"]),
        c["verdict"],
    )


def _gaps_of_knowledge(content: Mapping[str, Any]) -> Iterator[Block]:
    missing = content["not_assessable"]
    if missing:
        yield Table("Not assessable", ("what", "because"), tuple((m["subject"], m["because"]) for m in missing))
    else:
        yield Text("Every declared comparison could be assessed.")
    for unknown in content["scan"].get("unknown", ()):
        share = "cannot be told beside the noise"
        if unknown["share"] is not None:
            share = f"{100 * unknown['share']:.1f} % ± {100 * 1.96 * unknown['sd']:.1f}"
        yield Text(f"People whose {unknown['dimension']} is not known or not declared: {share}.")


def _data(content: Mapping[str, Any]) -> Iterator[Block]:
    scan = content["scan"]
    yield Text(
        f"{scan['releases']} releases of noisy counts, nothing else: no record of any person was read. "
        f"Standard deviation of the noise in a count of the summed table: {scan['noise_sd']:.2f}."
    )
    rows = tuple((m["name"], f"{m['scale']:.3f}", m["over_time"], str(m["releases"])) for m in content["mechanism"])
    if rows:
        yield Table("Mechanisms", ("name", "scale", "noise over time", "releases"), rows)


def _findings(findings: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    if not findings:
        yield Text("This audit has no finding.")
        return
    rows = tuple((f["subject"], f["verdict"], f["state"], f["opened_at"], f["due_at"], f["id"]) for f in findings)
    yield Table("Findings of this audit", ("what", "verdict", "state", "opened", "due", "id"), rows)


def _verification(content: Mapping[str, Any], sha256: str) -> Iterator[Block]:
    yield Text(
        f"The JSON form of this report is canonical (RFC 8785) and has the SHA-256 hash {sha256}. The evidence log has an entry "
        "`report.made` with this hash and the hashes below. Export the log with `tacit evidence export`, check it offline with "
        "`tacit evidence verify` or any verifier of C2SP checkpoints, and compare. The same releases and the same code give the same "
        "report, byte by byte."
    )
    manifest = content["manifest"]
    rows = [("tacit", manifest["code"]["tacit"])] + [(one["id"], one["sha256"]) for one in manifest["releases"][-20:]]
    yield Table("Hashes (the newest 20 releases; the JSON form has all)", ("of", "SHA-256 or version"), tuple(rows))


def _what(one: Mapping[str, Any]) -> str:
    return f"{one['statistic']}" + (f" of {one['arm']}" if one["arm"] else "")


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
