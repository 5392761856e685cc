"""The first tables of the released vault."""

import sqlalchemy as sa
from alembic import op

from tacit.migrations.append_only import protect

revision = "released_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('alerts',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(length=64), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_alerts'))
    )
    op.create_table('api_keys',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('sha256', sa.LargeBinary(length=32), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('role', sa.String(length=16), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.Column('revoked_ms', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('sha256', name=op.f('uq_api_keys_sha256'))
    )
    op.create_table('bundles',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('version', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('published_ms', sa.BigInteger(), nullable=False),
    sa.Column('jws', sa.Text(), nullable=False),
    sa.Column('evidence_index', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'version', name=op.f('pk_bundles'))
    )
    op.create_table('charges',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('window_ms', sa.BigInteger(), nullable=False),
    sa.Column('measure_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('rho_pico', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'window_ms', 'measure_id', name=op.f('pk_charges'))
    )
    op.create_table('claims',
    sa.Column('job', sa.String(length=96), nullable=False),
    sa.Column('slot', sa.BigInteger(), nullable=False),
    sa.Column('owner', sa.String(length=40), nullable=False),
    sa.Column('lease_ms', sa.BigInteger(), nullable=False),
    sa.Column('done', sa.Boolean(), nullable=False),
    sa.PrimaryKeyConstraint('job', 'slot', name=op.f('pk_claims'))
    )
    op.create_table('closings',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('window_ms', sa.BigInteger(), nullable=False),
    sa.Column('window_end_ms', sa.BigInteger(), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=64), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'window_ms', name=op.f('pk_closings'))
    )
    op.create_index('ix_closings_state', 'closings', ['site', 'state'], unique=False)
    op.create_table('definitions',
    sa.Column('measure_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('definition', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('measure_id', name=op.f('pk_definitions'))
    )
    op.create_table('epochs',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('start_ms', sa.BigInteger(), nullable=False),
    sa.Column('end_ms', sa.BigInteger(), nullable=False),
    sa.Column('epsilon', sa.Text(), nullable=False),
    sa.Column('delta', sa.Text(), nullable=False),
    sa.Column('rho_pico', sa.BigInteger(), nullable=False),
    sa.Column('spent_pico', sa.BigInteger(), nullable=False),
    sa.Column('epsilon_spent', sa.Text(), nullable=False),
    sa.Column('accumulated', sa.Text(), nullable=False),
    sa.Column('ended_ms', sa.BigInteger(), nullable=True),
    sa.Column('destroyed_ms', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('site', 'start_ms', name=op.f('pk_epochs'))
    )
    op.create_table('evidence',
    sa.Column('idx', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('kind', sa.String(length=64), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('body', sa.Text(), nullable=False),
    sa.Column('leaf', sa.LargeBinary(length=32), nullable=False),
    sa.PrimaryKeyConstraint('idx', name=op.f('pk_evidence'))
    )
    op.create_table('findings',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('audit', sa.String(length=80), nullable=False),
    sa.Column('scan_id', sa.String(length=40), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('verdict', sa.String(length=16), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('opened_ms', sa.BigInteger(), nullable=False),
    sa.Column('due_ms', sa.BigInteger(), nullable=False),
    sa.Column('detail', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_findings'))
    )
    op.create_index('uq_findings_open', 'findings', ['site', 'audit', 'subject'], unique=True, sqlite_where=sa.text("state != 'closed'"), postgresql_where=sa.text("state != 'closed'"))
    op.create_table('policy_states',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('policy', sa.String(length=64), nullable=False),
    sa.Column('window_end_ms', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('state', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'policy', 'window_end_ms', name=op.f('pk_policy_states'))
    )
    op.create_table('refusals',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), nullable=False),
    sa.Column('measure_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('measure', sa.String(length=80), nullable=False),
    sa.Column('wanted_pico', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.String(length=32), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'epoch_ms', 'measure_id', name=op.f('pk_refusals'))
    )
    op.create_table('releases',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('measure', sa.String(length=80), nullable=False),
    sa.Column('measure_id', sa.BigInteger(), nullable=False),
    sa.Column('window_ms', sa.BigInteger(), nullable=False),
    sa.Column('window_end_ms', sa.BigInteger(), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), nullable=False),
    sa.Column('scale', sa.Float(precision=53), nullable=False),
    sa.Column('sum_scale', sa.Float(precision=53), nullable=True),
    sa.Column('rho_pico', sa.BigInteger(), nullable=False),
    sa.Column('vector', sa.LargeBinary(), nullable=False),
    sa.Column('published_ms', sa.BigInteger(), nullable=False),
    sa.Column('usable', sa.Boolean(), nullable=True),
    sa.Column('quality', sa.Text(), nullable=True),
    sa.Column('evidence_index', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_releases')),
    sa.UniqueConstraint('site', 'window_ms', 'measure_id', name=op.f('uq_releases_site'))
    )
    op.create_index('ix_releases_measure', 'releases', ['site', 'measure_id', 'window_ms'], unique=False)
    op.create_table('scans',
    sa.Column('id', sa.String(length=40), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('audit', sa.String(length=80), nullable=False),
    sa.Column('slot', sa.BigInteger(), nullable=True),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('verdict', sa.String(length=16), nullable=False),
    sa.Column('result', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_scans')),
    sa.UniqueConstraint('site', 'audit', 'slot', name=op.f('uq_scans_site'))
    )
    op.create_table('spends',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), nullable=False),
    sa.Column('measure_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('measure', sa.String(length=80), nullable=False),
    sa.Column('rho_pico', sa.BigInteger(), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'epoch_ms', 'measure_id', name=op.f('pk_spends'))
    )
    protect("evidence")


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing before it")
