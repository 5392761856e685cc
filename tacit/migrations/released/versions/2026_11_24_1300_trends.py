"""Trends."""

import sqlalchemy as sa
from alembic import op

revision = "released_0005"
down_revision = "released_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('trends',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('audit', sa.String(length=80), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('scan_id', sa.String(length=40), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'audit', name=op.f('pk_trends'))
    )


def downgrade() -> None:
    op.drop_table('trends')
