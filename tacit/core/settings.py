"""How an installation is told where things are. Built once by the command line or `create_app`, then passed down as values."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Environment variables with the prefix `TACIT_`; each is described in `docs/settings.md`."""

    model_config = SettingsConfigDict(env_prefix="TACIT_", extra="ignore", frozen=True)

    config: Path = Field(default=Path("tacit.yaml"), description="The declaration of sites.")
    data: Path = Field(default=Path("data"), description="Databases, staging files and the root key file.")
    intake_url: str = Field(default="", description="SQLAlchemy URL of the intake vault; a SQLite file in `data` when empty.")
    released_url: str = Field(default="", description="SQLAlchemy URL of the released vault; a SQLite file in `data` when empty.")
    root_key: SecretStr | None = Field(default=None, description="Root key, 64 hexadecimal digits; a 0600 file in `data` when unset.")
    custody: Path | None = Field(default=None, description="Directory of epoch and window keys; memory-backed (/dev/shm) by default.")
    kill: str = Field(default="", description="Policies that stand still in this process: `site/policy`, with commas between.")

    def killed(self, site: str) -> frozenset[str]:
        """The policies of a site that the environment has stopped."""
        pairs = (one.strip().partition("/") for one in self.kill.split(","))
        return frozenset(policy for named, _, policy in pairs if named == site and policy)

    @property
    def intake_location(self) -> str:
        """The intake vault's URL."""
        return self.intake_url or f"sqlite:///{self.data.resolve() / 'intake.db'}"

    @property
    def released_location(self) -> str:
        """The released vault's URL."""
        return self.released_url or f"sqlite:///{self.data.resolve() / 'released.db'}"

    @property
    def staging(self) -> Path:
        """Where staged, encrypted contributions lie until their window closes."""
        return self.data.resolve() / "staging"

    @property
    def custody_directory(self) -> Path:
        """Where keys that must not outlive a reboot lie; one folder for each data directory."""
        if self.custody is not None:
            return self.custody
        memory = Path("/dev/shm")  # noqa: S108 - a 0700 folder of our own is made inside
        if memory.is_dir() and os.access(memory, os.W_OK):
            place = self.data.resolve().as_posix().strip("/").replace("/", "-")[-80:]
            return memory / f"tacit-{os.getuid()}-{place}-{_fingerprint(self.data.resolve())}"
        return self.data.resolve() / "custody"


def _fingerprint(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.as_posix().encode()).hexdigest()[:12]


class MailSettings(BaseSettings):
    """The server that findings are mailed through. Environment variables with the prefix `TACIT_SMTP_`; each is in `docs/settings.md`."""

    model_config = SettingsConfigDict(env_prefix="TACIT_SMTP_", extra="ignore", frozen=True, hide_input_in_errors=True)

    host: str = Field(default="", description="The server's name; nothing is mailed while it is empty.")
    port: int = Field(default=587, ge=1, le=65535, description="465 is usual for `tls`.")
    security: Literal["starttls", "tls", "none"] = Field(default="starttls", description="`none` is for a server on this machine only.")
    sender: str = Field(default="", description="The address that mails come from.")
    user: str = Field(default="", description="Log in under this name; no log-in when empty.")
    password: SecretStr | None = Field(default=None, description="The password; or it stands in a file.")
    password_file: Path | None = Field(default=None, description="A file that holds the password alone; read at each log-in.")
    ca_file: Path | None = Field(default=None, description="Certificates to trust instead of the system's.")

    @model_validator(mode="after")
    def _encrypted(self) -> MailSettings:
        if self.security == "none" and self.host and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("mail leaves this machine encrypted only: set TACIT_SMTP_SECURITY to starttls or tls")
        return self

    @property
    def ready(self) -> bool:
        """Whether anything can be mailed."""
        return bool(self.host and self.sender)

    def secret(self) -> str:
        """The password. Raises `OSError` for a file that cannot be read."""
        if self.password is not None:
            return self.password.get_secret_value()
        return self.password_file.read_text(encoding="utf-8").strip() if self.password_file else ""
