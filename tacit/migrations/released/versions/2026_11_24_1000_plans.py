"""Plans."""

import sqlalchemy as sa
from alembic import op

revision = "released_0003"
down_revision = "released_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('plans',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.Column('plan', sa.Text(), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', name=op.f('pk_plans'))
    )


def downgrade() -> None:
    raise NotImplementedError("the plan is made anew at the sanitiser's next pass")
