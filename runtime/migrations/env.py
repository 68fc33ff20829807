"""Run migrations on the connection that the runtime hands over: forward only.

No migration has a way back. An audit log that was written in a newer form can't be read in an older one, and what a step back would
drop is the record of effects that have happened. Whoever must go back puts a backup in place, with its keys.
"""

from alembic import context

from remit.errors import StoreError
from remit.runtime.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, transactional_ddl=True)
current, wanted = context.get_context().get_current_revision(), context.get_revision_argument()
if current and str(wanted or "") < current:
    raise StoreError(f"this database is at revision {current} and goes forward only; for an earlier one put a backup in place")
with context.begin_transaction():
    context.run_migrations()
