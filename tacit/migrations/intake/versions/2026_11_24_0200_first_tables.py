"""The first tables of the intake vault."""

import sqlalchemy as sa
from alembic import op

from tacit.migrations.append_only import protect

revision = "intake_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('consent_records',
    sa.Column('seq', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('receipt_id', sa.String(length=40), nullable=False),
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('pseudonym', sa.LargeBinary(length=32), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('reason', sa.String(length=32), nullable=False),
    sa.Column('method', sa.String(length=32), nullable=False),
    sa.Column('notice', sa.Text(), nullable=True),
    sa.Column('jurisdiction', sa.String(length=64), nullable=False),
    sa.Column('signals', sa.Text(), nullable=False),
    sa.Column('rule_version', sa.String(length=32), nullable=False),
    sa.Column('age_band', sa.String(length=64), nullable=True),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.Column('expires_ms', sa.BigInteger(), nullable=True),
    sa.Column('nonce', sa.LargeBinary(length=16), nullable=False),
    sa.Column('evidence_index', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_consent_records')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_consent_records_evidence_index', 'consent_records', ['evidence_index'], unique=False)
    op.create_index('ix_consent_records_person', 'consent_records', ['site', 'pseudonym', 'seq'], unique=False)
    op.create_table('consent_state',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('pseudonym', sa.LargeBinary(length=32), nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('expires_ms', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('site', 'pseudonym', 'purpose', name=op.f('pk_consent_state')),
    sqlite_with_rowid=False
    )
    op.create_table('epoch_keys',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('end_ms', sa.BigInteger(), nullable=False),
    sa.Column('fingerprint', sa.LargeBinary(length=16), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.Column('destroyed_ms', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('site', 'epoch_ms', name=op.f('pk_epoch_keys'))
    )
    op.create_table('idempotency',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('key_mac', sa.LargeBinary(length=32), nullable=False),
    sa.Column('request_mac', sa.LargeBinary(length=32), nullable=False),
    sa.Column('response', sa.Text(), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'key_mac', name=op.f('pk_idempotency'))
    )
    op.create_index(op.f('ix_idempotency_created_ms'), 'idempotency', ['created_ms'], unique=False)
    op.create_table('intake_quality',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('window_ms', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('passed', sa.Boolean(), nullable=False),
    sa.Column('failed_checks', sa.Text(), nullable=False),
    sa.Column('at_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'window_ms', name=op.f('pk_intake_quality'))
    )
    op.create_table('presence',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), nullable=False),
    sa.Column('measure_id', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('window_ms', sa.BigInteger(), nullable=False),
    sa.Column('people', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('site', 'epoch_ms', 'measure_id', 'window_ms', name=op.f('pk_presence'))
    )
    op.create_table('tombstones',
    sa.Column('site', sa.String(length=64), nullable=False),
    sa.Column('epoch_ms', sa.BigInteger(), autoincrement=False, nullable=False),
    sa.Column('purpose', sa.String(length=32), nullable=False),
    sa.Column('person', sa.LargeBinary(length=16), nullable=False),
    sa.Column('until_ms', sa.BigInteger(), nullable=True),
    sa.PrimaryKeyConstraint('site', 'epoch_ms', 'purpose', 'person', name=op.f('pk_tombstones'))
    )
    op.create_table('wrapped_keys',
    sa.Column('name', sa.String(length=128), nullable=False),
    sa.Column('wrapped', sa.LargeBinary(), nullable=False),
    sa.Column('created_ms', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_wrapped_keys'))
    )
    protect("consent_records", columns=['seq', 'receipt_id', 'site', 'pseudonym', 'purpose', 'state', 'reason', 'method', 'notice', 'jurisdiction', 'signals', 'rule_version', 'age_band', 'at_ms', 'expires_ms', 'nonce'])


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing before it")
