"""Databases for many examples: made once, emptied for each."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, delete

from tacit.core.db import connect, intake_metadata, released_metadata, writing


@dataclass
class Home:
    """Databases and a custody directory that the examples of one run take over from each other, emptied."""

    urls: tuple[str, str]
    custody: Path
    engines: list[tuple[Engine, Engine]] = field(default_factory=list)

    def open(self) -> None:
        """Make the tables, and two processes' connections."""
        self.engines = [(connect(self.urls[0]), connect(self.urls[1])) for _ in range(2)]
        intake_metadata.create_all(self.engines[0][0])
        released_metadata.create_all(self.engines[0][1])

    def close(self) -> None:
        for pair in self.engines:
            for engine in pair:
                engine.dispose()

    def empty(self) -> None:
        for engine, metadata in zip(self.engines[0], (intake_metadata, released_metadata), strict=True):
            with writing(engine) as connection:
                for table in metadata.sorted_tables:
                    connection.execute(delete(table))
        shutil.rmtree(self.custody, ignore_errors=True)
