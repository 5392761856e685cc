"""Notices and who was shown them; the cause and the place of a standing, for the gate's reasons and for opt-out rules."""

import sqlalchemy as sa
from alembic import op

revision = "intake_0004"
down_revision = "intake_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("consent_state", sa.Column("cause", sa.String(length=32), nullable=True))
    op.add_column("consent_state", sa.Column("jurisdiction", sa.String(length=64), nullable=True))
    op.create_table(
        "notice_versions",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("material", sa.Boolean(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "notice", "version", "locale", name=op.f("pk_notice_versions")),
    )
    op.create_table(
        "served_notices",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("pseudonym", sa.LargeBinary(length=32), nullable=False),
        sa.Column("notice", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("locale", sa.String(length=64), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "pseudonym", "notice", "version", "locale", name=op.f("pk_served_notices")),
    )
    op.create_index("ix_served_notices_age", "served_notices", ["site", "last_ms"])


def downgrade() -> None:
    raise NotImplementedError("what people were shown is never forgotten by a change of version")
