"""`tacit signals decode`: one answer for each line, whatever stands in it."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from consent.signals import answers
from tests.consent.signals.encoder import Tc, disclosed, gpp_string

ROOT = Path(__file__).parents[3]
MARCH_2026_MS = 1_772_323_200_000


class Clock:
    def now_ms(self) -> int:
        return 1_795_478_400_000


def answered(*lines: bytes) -> list[dict[str, object]]:
    return list(answers.lines(io.BytesIO(b"\n".join(lines)), Clock()))


def test_a_tcf_answer_has_the_string_and_the_verdict_beside_it() -> None:
    old, new = Tc(), Tc(created_ms=MARCH_2026_MS, updated_ms=MARCH_2026_MS)
    first, second, third = answered(
        *(json.dumps({"tcf": made.text()}).encode() for made in (old, new, Tc(created_ms=0, others=[disclosed()])))
    )
    assert (first["ok"], first["valid"]) == (True, {"ok": True, "reasons": []})
    assert (second["ok"], second["valid"]) == (True, {"ok": False, "reasons": ["vendors_disclosed_missing"]})
    assert json.loads(json.dumps(first["tcf"])) == old.expected()
    assert third["ok"] is True


def test_a_gpp_answer_has_the_verdict_on_its_tcf_section() -> None:
    [with_tcf, without] = answered(
        *(json.dumps({"gpp": text}).encode() for text in (gpp_string({2: Tc().text()}), gpp_string({6: "1YNN"})))
    )
    assert with_tcf["valid"] == {"tcfeuv2": {"ok": True, "reasons": []}}
    assert without["valid"] == {}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"null",
        b"[]",
        b'"tcf"',
        b"{}",
        b'{"tcf": 5}',
        b'{"tcf": null}',
        b'{"tcf": "a", "gpp": "b"}',
        b'{"tcf": "a", "tcf": "b"}',
        b'{"TCF": "a"}',
        b'{"tcf": "a", "id": 1}',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"tcf": ' + b"1" * 60_000 + b"}",
    ],
)
def test_a_line_that_is_no_request_is_answered_and_the_next_one_is_read(line: bytes) -> None:
    bad, good = answered(line, b'{"gpp": "DBAA"}')
    assert (bad["ok"], bad["code"]) == (False, "bad_request")
    assert good["ok"] is True


def test_a_line_that_is_too_long_is_answered_and_the_next_one_is_read() -> None:
    for length in (answers.MAX_REQUEST + 1, answers.MAX_REQUEST + 2, answers.MAX_REQUEST + 3, 3_000_000):
        long, good = answered(b"x" * length, b'{"gpp": "DBAA"}')
        assert (long["code"], good["ok"]) == ("too_large", True)
    [long] = answered(b"x" * (answers.MAX_REQUEST + 2))
    assert long["code"] == "too_large"


def test_the_longest_request_is_read() -> None:
    text = json.dumps({"tcf": "C" * 65_536}).encode()
    assert answered(text + b" " * (answers.MAX_REQUEST - len(text)))[0]["code"] == "bad_range"
    assert answered(json.dumps({"tcf": "C" * 65_537}).encode())[0]["code"] == "too_large"


def test_the_command_answers_line_by_line_and_survives_bad_ones() -> None:
    given = "\n".join(['{"gpp": "DBABTA~1YNN"}', "not JSON", '{"tcf": "C"}', json.dumps({"tcf": Tc().text()})]) + "\n"
    done = subprocess.run(
        [sys.executable, "-m", "tacit.cli", "signals", "decode"], input=given, capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["ok"] for one in found] == [True, False, False, True]
    assert [one.get("code") for one in found] == [None, "bad_request", "truncated", None]
    assert all("detail" in one for one in found if not one["ok"])


def test_the_package_imports_the_standard_library_and_the_core_only() -> None:
    for path in (ROOT / "consent" / "signals").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.startswith(("consent.signals", "tacit.core")) or name.split(".")[0] in sys.stdlib_module_names, (path, name)


def test_the_decoders_load_no_library() -> None:
    code = (
        "import sys, consent.signals.answers\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'sqlalchemy', 'fastapi', 'pydantic', 'msgspec', 'starlette'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
