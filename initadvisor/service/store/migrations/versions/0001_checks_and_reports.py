"""Checks and their reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "checks",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("home", sa.String(32), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.BigInteger()),
        sa.Column("finished", sa.BigInteger()),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("file", sa.String(200)),
        sa.Column("reference", sa.String(200)),
        sa.Column("revision", sa.String(200)),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(32)),
        sa.Column("failure_kind", sa.String(40)),
        sa.Column("failure_message", sa.Text()),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("verdict", sa.String(12)),
        sa.Column("errors", sa.Integer()),
        sa.Column("warnings", sa.Integer()),
        sa.Column("infos", sa.Integer()),
        sa.Column("not_evaluated", sa.Integer()),
        sa.Column("coverage", sa.Float()),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_checks"),
    )
    op.create_index("ix_checks_queue", "checks", ["home", "status", "id"])
    op.create_index("ix_checks_history", "checks", ["model", "id"])
    op.create_table(
        "reports",
        sa.Column("check_id", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["check_id"], ["checks.id"], name="fk_reports_check_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("check_id", name="pk_reports"),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("reports")
    op.drop_table("checks")
