"""How Alembic runs the migrations: on the connection that it is given, or as a script for a dialect."""

from __future__ import annotations

from alembic import context

_given = context.config.attributes

# Offline there is no connection, and values are written into the statements.
context.configure(**_given["options"], version_table=_given["version_table"])
with context.begin_transaction():
    context.run_migrations()
