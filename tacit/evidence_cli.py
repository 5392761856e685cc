"""`tacit evidence`: write the evidence log into a folder, check such a folder or the installation itself, print its head and its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from audit.evidence_errors import KeyRefused
from tacit import installation
from tacit.core import configuration, logs
from tacit.options import ConfigOption, DataOption

if TYPE_CHECKING:
    from audit.log import Log
    from audit.notary import Notary
    from audit.notes import Note, VerifierKey

evidence_app = typer.Typer(no_args_is_help=True, help="The evidence log: export it, verify it, print its head and key.")


def register(app: typer.Typer) -> None:
    """Add these commands to `tacit`."""
    app.add_typer(evidence_app, name="evidence")


@evidence_app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")], config: ConfigOption = None, data: DataOption = None
) -> None:
    """Write entries, tiles, checkpoint and key into a folder. The export itself is put on record first."""
    from audit.export import write
    from tacit.core.evidence import Entry

    with _opened(config, data) as (log, notary):
        log.append([Entry("evidence.exported", "*", {"by": "command line"})])
        with _progress("Exporting", log.size()) as advance:
            note = write(log, notary, folder, advance=advance)
        typer.echo(f"{note.checkpoint().size} entries of {notary.key.name} in {folder}. Check them with the key that you got another way:")
        typer.echo(f"tacit evidence verify {folder} --key FILE")


@evidence_app.command("verify")
def verify(
    folder: Annotated[Path | None, typer.Argument(help="An exported folder; the installation itself when left out.")] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="The verifier key, from another source than the log. Needed for a folder.")
    ] = None,
    since: Annotated[
        list[Path] | None, typer.Option("--since", help="An earlier checkpoint that must still hold; may be repeated.")
    ] = None,
    witness: Annotated[list[str] | None, typer.Option("--witness", help="Verifier key of a witness that must have signed.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Check every entry, every hash, the signature, and that earlier checkpoints still hold. A folder needs no database and no network.

    Exit 0 when all is as it was signed; 1 with the first bad index otherwise. A log that was rewritten as a whole and signed anew shows
    only against an earlier checkpoint: keep some, and name them with --since.
    """
    from audit import notes, offline

    earlier = [offline.read_note(path) for path in since or []]
    watchers = [notes.VerifierKey.parse(text) for text in witness or []]
    if folder is None:
        _verify_live(earlier, watchers, key, config, data)
        return
    if key is None:
        raise KeyRefused("a folder is checked with a key from elsewhere", next_step="Name its file with --key.")
    trusted = offline.read_key(key)
    _, checkpoint = offline.head(folder, trusted)
    with _progress("Verifying", checkpoint.size) as advance:
        found = offline.verify(folder, trusted, since=earlier, witnesses=watchers, advance=advance)
    _tell(found.checkpoint.origin, found.checkpoint.size, found.checkpoint.root, len(earlier), found.witnesses)


@evidence_app.command("checkpoint")
def checkpoint(config: ConfigOption = None, data: DataOption = None) -> None:
    """Print the log's signed head."""
    with _opened(config, data) as (_, notary):
        typer.echo(str(notary.checkpoint()), nl=False)


@evidence_app.command("key")
def show_key(config: ConfigOption = None, data: DataOption = None) -> None:
    """Print the verifier key: give it to auditors yourself, on paper or by phone, and not beside the log."""
    with _opened(config, data) as (_, notary):
        typer.echo(str(notary.key))


def _verify_live(earlier: list[Note], watchers: list[VerifierKey], key: Path | None, config: Path | None, data: Path | None) -> None:
    from audit import offline
    from audit.evidence_errors import NoteRefused

    with _opened(config, data) as (log, notary):
        if key is not None and offline.read_key(key) != notary.key:
            raise KeyRefused("this installation signs with another key")
        with _progress("Verifying", log.size()) as advance:
            found = notary.verify(earlier, advance=advance)
        head = notary.checkpoint(found.size)
        for watcher in watchers:
            if watcher.line_of(head) is None:
                raise NoteRefused(f"the witness {watcher.name} has not signed the present checkpoint")
        _tell(notary.key.name, found.size, found.root(), len(earlier), tuple(watcher.name for watcher in watchers))


def _tell(origin: str, size: int, root: bytes, earlier: int, witnesses: tuple[str, ...]) -> None:
    typer.echo(f"All {size} entries of {origin} are as they were signed; root {root.hex()}.")
    if earlier:
        typer.echo(f"{earlier} earlier checkpoint{'s' if earlier != 1 else ''} still hold{'' if earlier != 1 else 's'}.")
    else:
        typer.echo("No earlier checkpoint was given, so a log that was rewritten as a whole would look the same (--since).")
    for name in witnesses:
        typer.echo(f"Signed by the witness {name}.")


@contextmanager
def _opened(config: Path | None, data: Path | None) -> Iterator[tuple[Log, Notary]]:
    from audit.log import Log
    from audit.notary import Notary
    from tacit.core import rootkey
    from tacit.core.clock import SystemClock
    from tacit.core.db import connect

    settings = installation.settings(config, data)
    declaration = configuration.load(settings.config)
    logs.allow_declared(declaration)
    installation.require(settings)
    installation.prepare(settings)
    engine, clock = connect(settings.released_location), SystemClock()
    try:
        log = Log(engine, clock)
        yield log, Notary(log, rootkey.load(settings).signing_key(), declaration.evidence, clock)
    finally:
        engine.dispose()


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("[progress.description]{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
