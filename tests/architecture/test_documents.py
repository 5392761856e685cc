"""The documents and the code agree: links lead somewhere, and every key, path, setting, dependency and command is written down."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command

import tacit.cli
from tacit.core import schema
from tacit.core.settings import MailSettings, Settings
from tests.http.test_access import MAY

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text()


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for path, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)]*)?\)", document.read_text()):
        if path.startswith(("http", "mailto")):
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and target.suffix == ".md" and anchor[1:] not in anchors(target)):
            broken.append(path + anchor)
    assert broken == []


def test_every_key_of_the_declaration_is_described() -> None:
    text = read("docs/configuration.md")
    shapes = [c for n, c in vars(schema).items() if n.endswith("Config") and isinstance(c, type) and issubclass(c, BaseModel)]
    assert len(shapes) > 10
    keys = {field.alias or name for shape in shapes for name, field in shape.model_fields.items()}
    assert {key for key in keys if not re.search(rf"[`.{{ ,]{re.escape(key)}[`.}},:? ]", text)} == set()


def test_every_path_is_described() -> None:
    text = read("docs/http.md")
    assert [line for line in MAY if line.split()[1] not in text] == []


def test_every_setting_is_described() -> None:
    text = read("docs/settings.md")
    settings = [(shape.model_config["env_prefix"] + name).upper() for shape in (Settings, MailSettings) for name in shape.model_fields]
    assert [name for name in settings if name not in text] == []


def test_every_runtime_dependency_has_its_line() -> None:
    text, project = read("docs/dependencies.md"), tomllib.loads(read("pyproject.toml"))["project"]
    named = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    assert [n for n in (re.split(r"[\[><=;]", one)[0] for one in named) if n not in text] == []


def commands(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    inside = getattr(command, "commands", None)
    if not inside:
        yield " ".join(path)
        return
    for name, one in inside.items():
        yield from commands(one, (*path, name))


def test_every_command_is_named_in_the_operators_table() -> None:
    lines = [set(re.findall(r"[a-z-]+", " ".join(re.findall(r"`([^`]*)`", line)))) for line in read("docs/operations.md").split("\n")]
    every = list(commands(get_command(tacit.cli.app), ("tacit",)))
    assert len(every) > 30
    assert [command for command in every if not any(set(command.split()[1:]) <= line for line in lines)] == []
