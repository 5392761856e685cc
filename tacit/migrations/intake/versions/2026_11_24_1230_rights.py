"""Lookup keys with versions, receipts kept, objections and restrictions, rights requests, and erasure of records."""

import sqlalchemy as sa
from alembic import op

revision = "intake_0005"
down_revision = "intake_0004"
branch_labels = None
depends_on = None

_RETAINED = "exists (select 1 from retention_permits p where p.site = old.site and coalesce(old.expires_ms, old.at_ms) < p.before_ms)"
_OF_PERSON = "exists (select 1 from record_permits p where p.site = old.site and p.pseudonym = old.pseudonym)"
_FIXED = ", ".join(
    ["seq", "receipt_id", "site", "purpose", "state", "reason", "method", "notice", "jurisdiction", "signals"]
    + ["rule_version", "age_band", "at_ms", "expires_ms", "nonce", "who", "client_at_ms"]
)


def upgrade() -> None:
    op.add_column("consent_records", sa.Column("who", sa.LargeBinary(length=16), nullable=True))
    op.add_column("consent_records", sa.Column("client_at_ms", sa.BigInteger(), nullable=True))
    op.add_column("consent_state", sa.Column("objected_ms", sa.BigInteger(), nullable=True))
    op.add_column("consent_state", sa.Column("restricted_ms", sa.BigInteger(), nullable=True))
    op.add_column("idempotency", sa.Column("person", sa.LargeBinary(length=32), nullable=True))
    op.create_index("ix_idempotency_person", "idempotency", ["site", "person"])
    op.create_table(
        "subject_keys",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("destroy_ms", sa.BigInteger(), nullable=True),
        sa.Column("destroyed_ms", sa.BigInteger(), nullable=True),
        sa.Column("evidence_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("site", "version", name=op.f("pk_subject_keys")),
    )
    op.execute(
        "insert into subject_keys (site, version, created_ms) select substr(name, 18), 1, created_ms from wrapped_keys "
        "where name like 'consent subjects %'"
    )
    op.create_table(
        "record_permits",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("pseudonym", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("site", "pseudonym", name=op.f("pk_record_permits")),
    )
    op.create_table(
        "consent_receipts",
        sa.Column("receipt_id", sa.String(length=40), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("receipt_id", name=op.f("pk_consent_receipts")),
    )
    op.create_index("ix_consent_receipts_until", "consent_receipts", ["site", "until_ms"])
    _rights()
    _let_one_person_s_records_move()


def _rights() -> None:
    op.create_table(
        "rights_requests",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("evidence_index", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rights_requests")),
    )
    op.create_index("ix_rights_requests_open", "rights_requests", ["site", "state", "due_ms"])
    op.create_table(
        "erased_records",
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("site", "key", name=op.f("pk_erased_records")),
    )
    op.create_table(
        "loose_commitments",
        sa.Column("seq", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("site", sa.String(length=64), nullable=False),
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_loose_commitments")),
        sqlite_autoincrement=True,
    )


def _let_one_person_s_records_move() -> None:
    """Records stay as they are, but for one person's pseudonym or all of one person's records under a permit of the same transaction."""
    if op.get_bind().dialect.name == "sqlite":
        for name, action, when in (
            ("delete", "delete", f" when not ({_RETAINED} or {_OF_PERSON})"),
            ("update", f"update of {_FIXED}", ""),
            ("move", "update of pseudonym", f" when not {_OF_PERSON}"),
        ):
            op.execute(f"drop trigger if exists consent_records_no_{name}")
            op.execute(
                f"create trigger consent_records_no_{name} before {action} on consent_records{when} "
                "begin select raise(abort, 'consent_records is append-only'); end"
            )
        return
    op.execute(
        "create or replace function consent_records_retained() returns trigger language plpgsql as "
        f"$$ begin if {_RETAINED} or {_OF_PERSON} then return old; end if; raise exception 'consent_records is append-only'; end $$"
    )
    op.execute("drop trigger consent_records_no_update_update on consent_records")
    op.execute(
        f"create trigger consent_records_no_update_update before update of {_FIXED} on consent_records "
        "for each row execute function consent_records_append_only()"
    )
    op.execute(
        "create function consent_records_moved() returns trigger language plpgsql as "
        f"$$ begin if {_OF_PERSON} then return new; end if; raise exception 'consent_records is append-only'; end $$"
    )
    op.execute(
        "create trigger consent_records_no_move before update of pseudonym on consent_records "
        "for each row execute function consent_records_moved()"
    )


def downgrade() -> None:
    raise NotImplementedError("what was erased is never brought back")
