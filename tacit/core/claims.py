"""Exactly one owner for each piece of scheduled work: a unique row with a lease in the released vault.

A process that dies leaves its lease to run out; the next one takes the slot over and finishes it. Work under a claim must therefore
be safe to repeat, which closing a window, learning and scanning are.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Connection, Engine, String, Table, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from tacit.core.db import reading, released_metadata, writing

claims = Table(
    "claims",
    released_metadata,
    Column("job", String(160), primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("owner", String(40), nullable=False),
    Column("lease_ms", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False, default=False),
)


class Claims:
    """Claims for one worker process, named by `owner`."""

    def __init__(self, engine: Engine, *, owner: str, lease_ms: int = 60_000) -> None:
        self._engine, self._owner, self._lease_ms = engine, owner, lease_ms

    def take(self, job: str, slot: int, *, now_ms: int) -> bool:
        """Whether this process owns the slot now: it is new, was ours already, or its owner's lease ran out.

        A lease that no clock like ours can have given, because it ends too far ahead, was given before the clock was set back.
        """
        lease = now_ms + self._lease_ms
        try:
            with writing(self._engine) as connection:
                connection.execute(insert(claims).values(job=job, slot=slot, owner=self._owner, lease_ms=lease, done=False))
            return True
        except IntegrityError:
            pass
        with writing(self._engine) as connection:
            taken = connection.execute(
                update(claims)
                .where(claims.c.job == job, claims.c.slot == slot, claims.c.done.is_(False))
                .where(or_(claims.c.owner == self._owner, claims.c.lease_ms < now_ms, claims.c.lease_ms > lease + self._lease_ms))
                .values(owner=self._owner, lease_ms=lease)
            )
            return taken.rowcount == 1

    def finish(self, job: str, slot: int) -> None:
        """Mark the slot as done for ever."""
        with writing(self._engine) as connection:
            connection.execute(update(claims).where(claims.c.job == job, claims.c.slot == slot).values(done=True))

    def settle(self, job: str, slot: int, connection: Connection) -> bool:
        """Mark the slot as done in the transaction that writes its result; False where another owner has taken it over meanwhile.

        The caller rolls back on False, so that a result is written by exactly one owner, also by one that was stopped and woke up.
        """
        mine = (claims.c.job == job, claims.c.slot == slot, claims.c.owner == self._owner, claims.c.done.is_(False))
        return connection.execute(update(claims).where(*mine).values(done=True)).rowcount == 1

    def is_done(self, job: str, slot: int) -> bool:
        """Whether somebody has finished the slot."""
        with reading(self._engine) as connection:
            return bool(connection.scalar(select(claims.c.done).where(claims.c.job == job, claims.c.slot == slot)))
