"""What experiments showed."""

import sqlalchemy as sa
from alembic import op

revision = "released_0009"
down_revision = "released_0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('experiments',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('policy', sa.String(length=64), nullable=False),
    sa.Column('window_end_ms', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('result', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'policy', 'window_end_ms', name=op.f('pk_experiments'))
    )


def downgrade() -> None:
    op.drop_table('experiments')
