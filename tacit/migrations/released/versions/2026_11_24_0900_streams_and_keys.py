"""Correlated noise, undeclared keys, and when an epoch's traces were destroyed."""

import sqlalchemy as sa
from alembic import op

revision = "released_0002"
down_revision = "released_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("epochs", sa.Column("keys_atto", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("epochs", sa.Column("destroyed_ms", sa.BigInteger()))
    op.add_column("spends", sa.Column("delta_atto", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("charges", sa.Column("delta_atto", sa.BigInteger(), nullable=False, server_default="0"))
    for column in (
        sa.Column("block", sa.String(length=40)),
        sa.Column("position", sa.BigInteger()),
        sa.Column("state", sa.String(length=32)),
        sa.Column("strategy", sa.Text()),
        sa.Column("estimate", sa.LargeBinary()),
        sa.Column("keys", sa.Text()),
        sa.Column("threshold", sa.BigInteger()),
    ):
        op.add_column("releases", column)
    op.create_index("uq_releases_block", "releases", ["block", "position"], unique=True)


def downgrade() -> None:
    raise NotImplementedError("releases are never taken back")
