"""The first version: LcsCDR's tables, the three of sipcdr, the views and the constant rows.

What is there is left alone: the tables of an LcsCDR that Microsoft made, or of a sipcdr that kept no version yet.
"""

from __future__ import annotations

from alembic import context, op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make what is missing."""
    for statement in context.config.attributes["missing"]:
        op.execute(statement)
