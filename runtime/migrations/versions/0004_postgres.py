"""Give PostgreSQL what SQLite has had from the start, and its queue of wake-ups."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_EXCLUDED = """
CREATE FUNCTION remit_vote_excluded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM excluded e WHERE e.tenant = NEW.tenant AND e.call = NEW.call AND e.who = NEW.who)
        OR EXISTS (SELECT 1 FROM call c WHERE c.tenant = NEW.tenant AND c.id = NEW.call AND (c.principal = NEW.person
            OR EXISTS (SELECT 1 FROM agent a WHERE a.tenant = c.tenant AND a.id = c.principal AND a.owner = NEW.person)))
    THEN
        RAISE EXCEPTION 'whoever asked, answers for who asked, amended it, or is served by it can not vote' USING ERRCODE = '23514';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vote_excluded BEFORE INSERT ON vote FOR EACH ROW EXECUTE FUNCTION remit_vote_excluded();
"""
_MARK = "CREATE TABLE commit_mark (writer TEXT PRIMARY KEY, number BIGINT NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now());"
"""One row for each process that writes, changed by each of its transactions: after a commit that was cut off it says whether it happened."""


def upgrade() -> None:
    """Bring a database to revision 0004; an embedded one needs nothing."""
    if op.get_bind().dialect.name != "postgresql":
        return
    from procrastinate.schema import SchemaManager

    cursor = op.get_bind().connection.cursor()
    for script in (_EXCLUDED, _MARK, SchemaManager.get_schema()):
        cursor.execute(script)  # as it is: several statements, percent signs
    cursor.close()
