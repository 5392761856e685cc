"""The command line. Every command has `--help`; an expected failure prints `title: detail` and what to do next, and exits with 1.

Commands import what they need themselves, so that `tacit --help` and the web process stay light.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tacit import (
    __version__,
    cases,
    cases_cli,
    evidence_cli,
    experiment_cli,
    findings_cli,
    installation,
    learners_cli,
    notices_cli,
    officers_cli,
    policies_cli,
    report_cli,
    rights_cli,
)
from tacit.core import configuration, logs
from tacit.core.access import KeyStore, Role
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.declaration import Declaration, Measure
from tacit.core.errors import Problem, UnknownSite
from tacit.options import ConfigOption, DataOption, SiteOption, known, opened

app = typer.Typer(name="tacit", no_args_is_help=True, pretty_exceptions_enable=False, help="Personalise content without knowing anybody.")
keys_app = typer.Typer(no_args_is_help=True, help="API keys.")
config_app = typer.Typer(no_args_is_help=True, help="The declaration, tacit.yaml.")
signals_app = typer.Typer(no_args_is_help=True, help="Consent strings of browsers and platforms.")
app.add_typer(keys_app, name="keys")
app.add_typer(config_app, name="config")
app.add_typer(signals_app, name="signals")
officers_cli.register(app)
findings_cli.register(app)
notices_cli.register(app)
policies_cli.register(app)
report_cli.register(app)
rights_cli.register(app, keys_app)
evidence_cli.register(app)
experiment_cli.register(app)
learners_cli.register(app)
cases_cli.register(app)


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


FormatOption = Annotated[Format, typer.Option("--format", help="table, json or csv.")]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"tacit {__version__}")
        raise typer.Exit


@app.callback()
def tacit(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show where a failure arose.")] = False,
) -> None:
    """Personalise content without knowing anybody."""


def main() -> None:
    """Entry point: turns a `Problem` into two lines and exit code 1; `--verbose` before the command shows where it arose."""
    verbose = "--verbose" in sys.argv[1:2]
    if verbose:
        sys.argv.remove("--verbose")
    try:
        app()
    except Problem as problem:
        if verbose:
            raise
        typer.echo(problem.diagnostics(), err=True)
        sys.exit(1)


@app.command()
def serve(
    config: ConfigOption = None,
    data: DataOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8700,
    workers: Annotated[int, typer.Option(help="API processes.", min=1, max=64)] = 1,
) -> None:
    """Run the API, the dashboards and one sanitiser. The first start makes databases, a root key and an admin key."""
    from tacit.supervisor import run

    run(installation.settings(config, data), host=host, port=port, workers=workers)


@app.command()
def worker(
    config: ConfigOption = None,
    data: DataOption = None,
    once: Annotated[bool, typer.Option("--once", help="Handle what is due and stop.")] = False,
    parent: Annotated[int | None, typer.Option(hidden=True, help="Stop when this process is gone.")] = None,
) -> None:
    """Run the sanitiser alone: close windows, release, learn, publish, scan."""
    import signal
    import threading

    from tacit import wiring
    from tacit.worker import Worker

    settings, declaration = opened(config, data, create=True)
    logs.configure(logging.WARNING if once else logging.INFO)
    working = Worker(wiring.sanitiser(settings, declaration))
    if once:
        done = working.once()
        working.deliver()
        typer.echo(f"{_count(len(done.windows), 'window')} closed, {_count(len(done.bundles), 'bundle')} published.")
        return
    stop = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stop.set())
    working.run(stop, parent=parent)


@app.command()
def close(site: SiteOption, config: ConfigOption = None, data: DataOption = None) -> None:
    """Close the open window of a site now and release it (for tests and operators)."""
    from tacit import wiring
    from tacit.worker import Worker

    settings, declaration = opened(config, data)
    known(declaration, site)
    logs.configure(logging.WARNING)
    services = wiring.sanitiser(settings, declaration)
    services.source.cut(site)
    done = Worker(services).once()
    closed = [w for w in done.windows if w.site == site]
    typer.echo(
        f"{_count(len(closed), 'window')} of {site} closed" + (f"; bundle {done.bundles[site]} published." if site in done.bundles else ".")
    )


@keys_app.command("create")
def keys_create(
    role: Annotated[Role, typer.Option("--role", help="What the key may do.")],
    site: Annotated[str, typer.Option("--site", help="The site's name; an admin key may leave it out.")] = "*",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print a new key once; only its hash is stored. The key stands alone on the last line."""
    settings, declaration = opened(config, data, create=True)
    if site == "*" and role is not Role.ADMIN:
        raise UnknownSite("every key but an admin key belongs to one site", next_step="Add --site NAME.")
    if site != "*":
        known(declaration, site)
    store = KeyStore(connect(settings.released_location))
    key = store.create(site, role, now_ms=SystemClock().now_ms())
    whose = f"{store.identify(key).key_id} for {'all sites' if site == '*' else site}"
    typer.echo(f"A new {role.value} key, {whose}; it is not shown again:", err=True)
    typer.echo(key)


@keys_app.command("list")
def keys_list(
    site: Annotated[str | None, typer.Option("--site", help="Only keys of this site, and admin keys.")] = None,
    form: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Which keys were made and whether they still work. The keys themselves are not stored."""
    from tacit.core.clock import iso
    from tacit.tables import show

    def time(ms: int | None) -> str | None:
        return None if ms is None else iso(ms) if form is not Format.TABLE else iso(ms)[:10]

    settings, _ = opened(config, data, site=site)
    show(
        [
            {"id": row["id"], "role": row["role"], "site": row["site"], "made": time(row["created_ms"]), "revoked": time(row["revoked_ms"])}
            for row in KeyStore(connect(settings.released_location)).all(site)
        ],
        form,
    )


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, as `tacit keys list` has it; not the key.")],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """End a key for good. Servers refuse it within five seconds, and log-ins that were opened with it end."""
    settings, _ = opened(config, data)
    KeyStore(connect(settings.released_location)).revoke(key_id, now_ms=SystemClock().now_ms())
    typer.echo("The key is revoked.")


@config_app.command("check")
def config_check(file: Annotated[Path, typer.Argument(help="The declaration.", envvar="TACIT_CONFIG")] = Path("tacit.yaml")) -> None:
    """Validate a declaration and say what it promises."""
    declaration = configuration.load(file)
    for site in declaration.sites.values():
        total = sum(m.share for m in site.measures)
        typer.echo(
            f"{site.name}: valid. {_count(len(site.measures), 'measure')} with {sum(m.cells for m in site.measures)} cells "
            f"share {total} of epsilon {site.privacy.epsilon}, delta {site.privacy.delta} for each person and epoch."
        )


@config_app.command("init")
def config_init(file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("tacit.yaml")) -> None:
    """Write a commented declaration to start from."""
    if file.exists():
        raise Problem(f"{file} exists already", next_step="Choose another name; nothing was changed.")
    try:
        file.write_text(cases.text(cases.HEADLINE), encoding="utf-8")
    except OSError as error:
        raise Problem(f"{file} cannot be written", next_step="Create its folder first, or choose another place.") from error
    typer.echo(f"Wrote {file}. Next: tacit plan {file}, then tacit serve --config {file}")


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="The declaration.", envvar="TACIT_CONFIG")] = Path("tacit.yaml"),
    people: Annotated[int, typer.Option(help="People a day to reckon with, spread evenly.", min=1)] = 10_000,
    contributions: Annotated[float, typer.Option(help="Contributions of a person to a measure in an epoch, before bounds.", min=1)] = 1,
    form: FormatOption = Format.TABLE,
) -> None:
    """What a declaration will cost and can show, before anything is collected.

    For each measure: the noise and why it was picked, the error at this traffic, what a policy, an audit or an undeclared value needs, and
    advice on bounds, cells, windows and shares. docs/plan.md shows how to read it.
    """
    from privacy.outlook import Traffic
    from privacy.plan import plan as rows_of
    from privacy.plan import plan_site
    from tacit.planning import flat, show_plans
    from tacit.tables import show

    declaration = configuration.load(file)
    if form is Format.TABLE:
        show_plans([plan_site(site, Traffic(people, contributions)) for site in declaration.sites.values()])
        return
    rows = rows_of(declaration, people=people, contributions=contributions)
    show(rows if form is Format.JSON else flat(rows), form)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Events as NDJSON, one a line.")],
    site: SiteOption,
    url: Annotated[str, typer.Option(help="Where the service runs.")] = "http://127.0.0.1:8700",
    key: Annotated[str, typer.Option(help="A key that may send events.", envvar="TACIT_KEY", show_default=False)] = "",
) -> None:
    """Send a file of events through the HTTP door, with a progress bar."""
    from tacit.replay import replay as send

    verdict = send(file, site=site, url=url, key=key)
    typer.echo(json.dumps(verdict, indent=2))


@app.command()
def releases(
    site: SiteOption,
    measure: str | None = None,
    limit: int = 20,
    form: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """What was published, newest last; a value always comes with its standard deviation."""
    from privacy.releases import ReleaseStore
    from tacit.tables import release_lines, show

    with _released(config, data, site) as engine:
        found, _ = ReleaseStore(engine).list(site, measure=measure, limit=limit)
    if form is Format.JSON:
        show([r.to_json() for r in found], form)
    elif form is Format.TABLE:
        show([line for r in found for line in release_lines(r.to_json())], form)
    else:
        show(
            [
                {"release": r.id, "measure": r.measure.name, "window": r.to_json()["window"]["start"]}
                | {f"{k}": v for k, v in cell["by"].items()}
                | {"bin": cell["bin"], "value": round(cell["value"], 2), "sd": round(cell["sd"], 2)}
                for r in found
                for cell in r.cells()
            ],
            form,
        )


@app.command()
def estimates(
    site: SiteOption,
    measure: Annotated[str, typer.Option("--measure", help="The measure's name in the declaration.")],
    since: Annotated[str | None, typer.Option("--from", help="ISO 8601 with a zone; windows that start then or later.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="ISO 8601 with a zone; windows that start before.")] = None,
    quantile: Annotated[
        list[float] | None, typer.Option("--quantile", min=0.001, max=0.999, help="Of binned numbers; may be repeated.")
    ] = None,
    beside: Annotated[str | None, typer.Option("--with", help="A measure of the same rows to be consistent with.")] = None,
    form: FormatOption = Format.TABLE,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """What a measure says over a stretch of time: sums with 95 % intervals, means, quantiles. Reading spends nothing."""
    from privacy.reading import Reading, lines, read
    from privacy.releases import ReleaseStore
    from tacit.core.queries import milliseconds
    from tacit.tables import show

    _, declaration = opened(config, data)
    known(declaration, site)
    found, other = _measure(declaration, site, measure), _measure(declaration, site, beside) if beside else None
    with _released(config, data, site) as engine:
        wanted = Reading(milliseconds(since), milliseconds(until, "to"), tuple(quantile or ()))
        answer = read(ReleaseStore(engine), found, wanted, beside=other)
    if form is Format.JSON:
        show([answer], form, single=True)
        return
    show(lines(answer), form)
    for name, one in answer.get("quantiles", {}).items():
        for q in one["quantiles"]:
            told = "cannot tell" if q["value"] is None else f"{q['value']:g} (95 % interval {q['interval'][0]:g} to {q['interval'][1]:g})"
            typer.echo(f"{name}, quantile {q['q']:g}: {told}", err=form is Format.CSV)


@app.command()
def randomise(
    file: Annotated[Path, typer.Argument(help="Exact events as NDJSON, one a line; this file should never leave the device.")],
    site: SiteOption,
    config: ConfigOption = None,
) -> None:
    """The device's side of local mode: write events on stdout with their cells replaced at random. Needs no service and no key."""
    from tacit.randomising import randomise as lines_of

    settings = installation.settings(config, None)
    declaration = configuration.load(settings.config)
    known(declaration, site)
    for line in lines_of(file, declaration.sites[site]):
        typer.echo(line)


@app.command()
def budget(site: SiteOption, form: FormatOption = Format.TABLE, config: ConfigOption = None, data: DataOption = None) -> None:
    """What each epoch promised and spent."""
    from privacy.budget import BudgetView
    from tacit.tables import epochs, show

    with _released(config, data, site) as engine:
        rows = [epoch.to_json() for epoch in BudgetView(engine).epochs(site, limit=1000)]
    show(rows if form is Format.JSON else epochs(rows), form)


@app.command()
def bundle(site: SiteOption, form: FormatOption = Format.JSON, config: ConfigOption = None, data: DataOption = None) -> None:
    """The newest signed bundle; as a table, its weights."""
    from adjust.store import BundleStore
    from tacit.core import rootkey
    from tacit.tables import show, weights

    settings, _ = opened(config, data)
    with _released(config, data, site) as engine:
        store = BundleStore(engine, rootkey.load(settings))
        payload, signed = store.latest_payload(site), store.latest_jws(site)
    if payload is None or signed is None:
        raise Problem("there is no bundle yet", next_step="The sanitiser publishes the first one at its first pass: `tacit worker --once`.")
    show([json.loads(signed)] if form is Format.JSON else weights(payload), form, single=form is Format.JSON)


@app.command()
def scan(
    site: Annotated[str | None, typer.Option("--site", help="The site; all of them when left out.")] = None,
    slot: Annotated[
        str | None,
        typer.Option(help="A moment (ISO 8601 with a zone): the newest scheduled slot then; or a whole number. A slot runs once."),
    ] = None,
    tables: Annotated[Path | None, typer.Option(help="Instead: scan anybody's noisy tables, one JSON object a line.")] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Compare how groups were treated. Exit 0 within limits or cannot tell, 3 breach, 1 error."""
    from audit.scan import exit_code

    if tables is not None:
        _scan_tables(tables)
        return
    from tacit import wiring

    settings, declaration = opened(config, data)
    if site is not None:
        known(declaration, site)
    services = wiring.sanitiser(settings, declaration)
    results = []
    for one in declaration.sites.values():
        if site not in (None, one.name):
            continue
        found = services.scanner.scan(one) if slot is None else services.schedule.run_named(one, slot)
        for result in found:
            typer.echo(result.sentence)
        if not found:
            typer.echo(f"{one.name}: no audit is declared.")
        results += found
    raise typer.Exit(exit_code(results))


@signals_app.command("decode")
def signals_decode() -> None:
    """Read TCF and GPP strings: one JSON object a line on stdin, {"tcf": "…"} or {"gpp": "…"}, and one answer a line on stdout.

    A line that cannot be read is answered with {"ok": false, "code": …, "detail": …} and the next one is read.
    """
    from consent.signals import answers

    clock = SystemClock()
    for answer in answers.lines(sys.stdin.buffer, clock):
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


@app.command()
def demo(
    visitors: Annotated[int, typer.Option(min=200, help="How many people arrive.")] = 20_000,
    windows: Annotated[int, typer.Option(min=2, max=200, help="How many windows they are spread over.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the arrivals; the noise has no seed.")] = 1,
    fair: Annotated[bool, typer.Option("--fair", help="Without the planted skew.")] = False,
    stop: Annotated[bool, typer.Option("--exit", help="Stop at the end instead of serving the dashboard.")] = False,
    port: Annotated[int, typer.Option(help="Port of the demo's service; 0 chooses a free one.")] = 8700,
    real: Annotated[Path | None, typer.Option("--real-data", help="Folder with the MSNBC and Upworthy files.")] = None,
    shoppers: Annotated[
        int | None, typer.Option(min=60, help="How many come to each of the two shops; an eighth of the visitors if left out.")
    ] = None,
    report: Annotated[Path, typer.Option(help="Where the numbers are written.")] = Path("demo-report.json"),
) -> None:
    """The main job end to end: people arrive, consent or refuse, windows close, the engine learns, an audit finds the planted skew."""
    from tacit.demonstration import run

    run(visitors=visitors, windows=windows, seed=seed, fair=fair, stop=stop, port=port, real=real, report=report, shoppers=shoppers)


def _scan_tables(path: Path) -> None:
    from audit.brought import infer_lines, is_breach, is_refused

    breach, refused = False, 0
    try:
        with path.open("rb") as lines:
            for answer in infer_lines(lines):
                breach, refused = breach or is_breach(answer), refused + is_refused(answer)
                sys.stdout.write(json.dumps(answer, allow_nan=False) + "\n")
    except OSError as error:
        raise Problem(f"{path} cannot be read", next_step="Name a file with one JSON object a line.") from error
    if refused:
        raise Problem(f"{refused} of the lines could not be judged", next_step="Their answers say why; all other lines are judged.")
    raise typer.Exit(3 if breach else 0)


def _measure(declaration: Declaration, site: str, name: str) -> Measure:
    found = declaration.sites[site].measure(name)
    if found is None:
        raise Problem(
            f"{site} declares no measure of that name", next_step=f"It has {', '.join(m.name for m in declaration.sites[site].measures)}."
        )
    return found


@contextmanager
def _released(config: Path | None, data: Path | None, site: str) -> Iterator[Any]:
    settings, declaration = opened(config, data)
    known(declaration, site)
    engine = connect(settings.released_location)
    try:
        yield engine
    finally:
        engine.dispose()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


if __name__ == "__main__":
    main()
