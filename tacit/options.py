"""What the parts of the command line share: common options, and opening the installation that they name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tacit import installation
from tacit.core import configuration, logs
from tacit.core.declaration import Declaration
from tacit.core.errors import UnknownSite
from tacit.core.settings import Settings

ConfigOption = Annotated[Path | None, typer.Option("--config", help="The declaration [TACIT_CONFIG, else tacit.yaml].")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Databases, staging and the root key [TACIT_DATA, else ./data].")]
SiteOption = Annotated[str, typer.Option("--site", help="The site's name in the declaration.")]


def opened(config: Path | None, data: Path | None, *, site: str | None = None, create: bool = False) -> tuple[Settings, Declaration]:
    """The installation, its schema up to date; with `create`, made if this is its first start. Raises `UnknownSite`."""
    settings = installation.settings(config, data)
    declaration = configuration.load(settings.config)
    logs.allow_declared(declaration)
    if not create:
        installation.require(settings)
    for line in installation.prepare(settings):
        typer.echo(f"Made {line}", err=True)
    if site is not None:
        known(declaration, site)
    return settings, declaration


def known(declaration: Declaration, site: str) -> None:
    """Raise `UnknownSite` unless the site is declared."""
    if site not in declaration.sites:
        raise UnknownSite(f"the declaration has {', '.join(declaration.sites)}")
