"""The tree over the evidence log. Of a log that has entries already, the hashes of its perfect subtrees are built here."""

from hashlib import sha256

import sqlalchemy as sa
from alembic import op

from tacit.migrations.append_only import protect

revision = "released_0004"
down_revision = "released_0003"
branch_labels = None
depends_on = None

TILE = 256


def upgrade() -> None:
    subtrees = op.create_table('evidence_subtrees',
    sa.Column('level', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('idx', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('hash', sa.LargeBinary(length=32), nullable=False),
    sa.PrimaryKeyConstraint('level', 'idx', name=op.f('pk_evidence_subtrees'))
    )
    op.create_table('evidence_signatures',
    sa.Column('size', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('root', sa.LargeBinary(length=32), nullable=False),
    sa.Column('line', sa.Text(), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('size', 'name', name=op.f('pk_evidence_signatures'))
    )
    level, hashes = 0, _full_tiles(op.get_bind())
    while hashes:
        level += 1
        op.bulk_insert(subtrees, [{'level': level, 'idx': idx, 'hash': one} for idx, one in enumerate(hashes)])
        hashes = [_fold(hashes[i:i + TILE]) for i in range(0, len(hashes) - TILE + 1, TILE)]
    protect("evidence_subtrees")
    protect("evidence_signatures")


def _full_tiles(connection: sa.Connection) -> list[bytes]:
    """The hash over each 256 leaves as they are stored, also where somebody has changed entries: verifying will say so."""
    found: list[bytes] = []
    leaves: list[bytes] = []
    for (leaf,) in connection.execute(sa.text("select leaf from evidence order by idx")):
        leaves.append(bytes(leaf))
        if len(leaves) == TILE:
            found.append(_fold(leaves))
            leaves = []
    return found


def _fold(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [sha256(b"\x01" + hashes[i] + hashes[i + 1]).digest() for i in range(0, len(hashes), 2)]
    return hashes[0]


def downgrade() -> None:
    raise NotImplementedError("evidence is never taken back")
