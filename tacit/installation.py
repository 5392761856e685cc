"""An installation on disk: where it is, and the first start that makes its databases, root key and admin key."""

from __future__ import annotations

from pathlib import Path

from tacit.core import rootkey
from tacit.core.access import KeyStore, Role
from tacit.core.clock import SystemClock
from tacit.core.db import connect
from tacit.core.errors import NotFound, StorageUnavailable
from tacit.core.rootkey import RootKeyUnusable, write_private
from tacit.core.settings import Settings

ADMIN_KEY_FILE = "admin.key"


def settings(config: Path | None = None, data: Path | None = None) -> Settings:
    """The environment's settings, with the command line's options before them."""
    given = {name: value for name, value in (("config", config), ("data", data)) if value is not None}
    return Settings(**given)  # type: ignore[arg-type]  # pydantic-settings types its keyword arguments by field


class NoInstallation(NotFound):
    type = "no-installation"
    title = "There is no installation here"
    default_next_step = "Start `tacit serve` first, or check --data and TACIT_DATA."


def require(settings: Settings) -> None:
    """Raise `NoInstallation` unless a first start has been made here; reading commands never make one by mistake."""
    if not settings.data.is_dir() or not (settings.released_url or (settings.data / "released.db").exists()):
        raise NoInstallation(f"{settings.data} holds none")


def prepare(settings: Settings) -> list[str]:
    """Make what is missing and bring both vaults up to date. Returns one line for each thing that was made."""
    from tacit import migrations

    made = []
    if (settings.data / "intake.db").exists() and settings.root_key is None and not (settings.data / rootkey.FILE_NAME).exists():
        raise RootKeyUnusable(
            f"{settings.data} has databases but no {rootkey.FILE_NAME}",
            next_step="Restore your copy of it or set TACIT_ROOT_KEY: a new key could read none of the records.",
        )
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.staging.mkdir(mode=0o700, exist_ok=True)
        settings.custody_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnavailable(f"the data directory cannot be made ({type(error).__name__})") from error
    if settings.root_key is None and not (settings.data / rootkey.FILE_NAME).exists():
        made.append(f"root key        {settings.data / rootkey.FILE_NAME}  (keep a copy elsewhere, never beside the databases)")
    rootkey.load(settings, create=True)
    intake, released = connect(settings.intake_location), connect(settings.released_location)
    try:
        migrations.upgrade(intake, "intake")
        migrations.upgrade(released, "released")
        keys = KeyStore(released)
        if not keys.exists_any():
            path = settings.data / ADMIN_KEY_FILE
            key = keys.create("*", Role.ADMIN, now_ms=SystemClock().now_ms())
            path.unlink(missing_ok=True)
            write_private(path, key.encode() + b"\n")
            made.append(f"admin key       {path}  (log in with it; delete the file once it is kept elsewhere)")
    finally:
        intake.dispose()
        released.dispose()
    return made
