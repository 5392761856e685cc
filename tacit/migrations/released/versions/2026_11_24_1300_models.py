"""Model versions and which of them stand."""

import sqlalchemy as sa
from alembic import op

revision = "released_0008"
down_revision = "released_0003"
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
    op.create_table('model_pins',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('policy', sa.String(length=64), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), nullable=True),
    sa.Column('actor', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('site', 'policy', 'at_ms', name=op.f('pk_model_pins'))
    )


def downgrade() -> None:
    raise NotImplementedError("model versions are made anew with the next bundles; what was rolled back to would be lost")
