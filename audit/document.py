"""A report as a document. The verdict's sentence comes first; an interval always stands before its point; what could not be assessed is
said, not left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from audit.blocks import Block, Document, Section, Table, Text
from audit.report_findings import findings
from audit.report_groups import compared
from audit.report_trend import trend

GLOSSARY = (
    ("simultaneous interval", "Holds all true differences of the report together with a confidence of 95 %."),
    ("within limits", "The interval lies inside the limit on both sides."),
    ("breach", "The interval lies wholly outside the limit."),
    ("attention", "The interval excludes zero but is not wholly outside the limit."),
    ("cannot tell", "Everything else: the figures are too few or too noisy."),
    ("not assessable", "A group whose noisy number of people is too small for any statement about it."),
    ("smallest detectable difference", "A true difference that this number of people and this noise would show four times in five."),
    ("noise", "Random numbers that were added to every count before anybody saw it, so that no single person can be made out."),
    ("ratio to the rest", "The group's rate divided by that of everybody else: 1 where both are treated alike."),
    ("intersection", "People who are in two or more named groups at once."),
    ("stratum", "A part of the context, such as one kind of device, within which groups are compared again."),
    ("odds", "What people were shown among those who gave the reward, and among those who did not."),
    ("drift", "The mean difference since the trend's sum last stood at zero, weighed by precision."),
    ("alarm", "The sum of what the windows since then say has passed its threshold, which chance passes in few years."),
)

METHOD = (
    "Each group is compared with everybody in the other named groups of its dimension. A noisy rate has the variance of sampling people "
    "and the known variance of the privacy noise (delta method); test and interval are the score test's (Mee 1984), with the noise added. "
    "P-values are adjusted for all comparisons of the scan (Holm 1979), intervals are simultaneous (Bonferroni). The largest gap between "
    "any two groups has a p-value calibrated on equal groups of the same sizes and noise."
)


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
    yield from compared(scan, limit["value"])
    if section := trend(scan.get("trend"), limit["value"]):
        yield section
    if section := content.get("preset_section"):
        tables = [Table(t["title"], tuple(t["columns"]), tuple(map(tuple, t["rows"]))) for t in section["tables"] if t["rows"]]
        yield Section(section["title"], (Text(section["statement"]), *tables, *(Text(note) for note in section["notes"])))
    yield Section("What could not be assessed", tuple(_gaps_of_knowledge(content)))
    yield Section("Method", (Text(METHOD), *(Text(line) for line in scan.get("assumptions", ()))))
    yield Section("Data and mechanism", tuple(_data(content)))
    yield Section("Limits", (Text(f"Accepted difference: ±{100 * limit['value']:.1f} percentage points. Origin: {limit['origin']}"),))
    yield Section("Findings", tuple(findings(content["findings"])))
    yield Section("Words", (Table("What the words mean", ("word", "meaning"), GLOSSARY),))
    yield Section("How to verify this report", tuple(_verification(content, sha256)))


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
    releases = f"{scan['releases']} release{'' if scan['releases'] == 1 else 's'}"
    yield Text(
        f"{releases} of noisy counts, nothing else: no record of any person was read. "
        f"Standard deviation of the noise in a count of the summed table: {scan['noise_sd']:.2f}."
    )
    rows = tuple((m["name"], f"{m['scale']:.3f}", m["over_time"], str(m["releases"])) for m in content["mechanism"])
    if rows:
        yield Table("Mechanisms", ("name", "scale", "noise over time", "releases"), rows)


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
