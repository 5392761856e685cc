"""An epoch's key belongs to an epoch of one length. Keys from before are ended with the next window: nobody knows how long theirs was."""

import sqlalchemy as sa
from alembic import op

revision = "intake_0002"
down_revision = "intake_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("epoch_keys", sa.Column("end_ms", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise NotImplementedError("keys are never brought back")
