"""Webhooks with their outbox, lapses in order of time, and retention with its proof."""

import sqlalchemy as sa
from alembic import op

revision = "intake_0003"
down_revision = "intake_0002"
branch_labels = None
depends_on = None

_FREE = "exists (select 1 from retention_permits p where p.site = old.site and coalesce(old.expires_ms, old.at_ms) < p.before_ms)"


def upgrade() -> None:
    op.create_index("ix_consent_state_lapses", "consent_state", ["site", "expires_ms"])
    op.create_table(
        "webhooks",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "name", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_outbox",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("webhook", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("settled_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_webhook_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_webhook_outbox_id")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_outbox_due", "webhook_outbox", ["state", "next_ms"])
    op.create_index("ix_webhook_outbox_webhook", "webhook_outbox", ["site", "webhook", "state"])
    op.create_table(
        "lapse_marks",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_lapse_marks")),
    )
    op.create_table(
        "retention_runs",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("job", sa.String(length=32), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "job", "at_ms", name=op.f("pk_retention_runs")),
    )
    op.create_table(
        "retention_permits",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("before_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", name=op.f("pk_retention_permits")),
    )
    _let_retention_delete()


def _let_retention_delete() -> None:
    """Records stay append-only, but for those older than a permit that a retention run writes and takes back in its own transaction."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("drop trigger consent_records_no_delete")
        op.execute(
            f"create trigger consent_records_no_delete before delete on consent_records when not {_FREE} "
            "begin select raise(abort, 'consent_records is append-only'); end"
        )
        return
    op.execute("drop trigger consent_records_no_delete_delete on consent_records")
    op.execute(
        "create function consent_records_retained() returns trigger language plpgsql as "
        f"$$ begin if {_FREE} then return old; end if; raise exception 'consent_records is append-only'; end $$"
    )
    op.execute(
        "create trigger consent_records_no_delete_delete before delete on consent_records "
        "for each row execute function consent_records_retained()"
    )


def downgrade() -> None:
    raise NotImplementedError("what was deleted is never brought back")
