"""Model versions."""

import sqlalchemy as sa
from alembic import op

revision = "released_0008"
down_revision = "released_0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('models',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('policy', sa.String(length=64), nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('learner', sa.String(length=16), nullable=False),
    sa.Column('releases_json', sa.Text(), nullable=False),
    sa.Column('parameters_json', sa.Text(), nullable=False),
    sa.Column('metrics_json', sa.Text(), nullable=False),
    sa.Column('weights_json', sa.Text(), nullable=False),
    sa.Column('sha256', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('site', 'policy', 'version', name=op.f('pk_models'))
    )


def downgrade() -> None:
    raise NotImplementedError("the history of models would be lost; go back to a copy of the database instead")
