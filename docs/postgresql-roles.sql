-- Four roles on PostgreSQL: the owner changes tables, the application works, the sequencer places events and signs, and one prunes.
-- Run it as the owner of the tables (remit_owner), in Remit's database, after each `remit db upgrade`; the roles are there already:
--   CREATE ROLE remit_owner LOGIN; CREATE ROLE remit_app LOGIN; CREATE ROLE remit_sequencer LOGIN;
--   CREATE ROLE remit_retention LOGIN;
-- With it, whoever has the application's rights can neither change, delete nor place an event, nor write a checkpoint; the sequencer can
-- do nothing but that. Both processes need the key file. The sequencer is a process of its own:
--   remit audit place postgresql://remit_sequencer@db.internal/remit --keys remit.keys

-- The application: rows of every table, but for what has been recorded.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO remit_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO remit_app;
REVOKE UPDATE, DELETE ON event, bundle, access FROM remit_app;
REVOKE INSERT, UPDATE, DELETE ON checkpoint FROM remit_app;
REVOKE UPDATE, DELETE ON log_head FROM remit_app;
REVOKE INSERT, UPDATE, DELETE ON pruned, alembic_version FROM remit_app;

-- The sequencer: places, the head of the tree, and checkpoints. Which of its commits was the last, it reads from commit_mark.
GRANT SELECT ON alembic_version, store_meta, event, log_head, checkpoint, pruned TO remit_sequencer;
GRANT SELECT, INSERT, UPDATE, DELETE ON commit_mark TO remit_sequencer;
GRANT UPDATE (leaf_index) ON event TO remit_sequencer;
GRANT UPDATE ON log_head TO remit_sequencer;
GRANT INSERT ON checkpoint TO remit_sequencer;

-- Retention: what the application may, and to move the mark and delete events before it. `remit retention prune` runs as this role, with
-- the sequencer running beside it; no other process needs it (docs/retention.md).
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO remit_retention;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO remit_retention;
REVOKE UPDATE ON event FROM remit_retention;
REVOKE UPDATE, DELETE ON bundle, access, log_head FROM remit_retention;
REVOKE INSERT, UPDATE, DELETE ON checkpoint, alembic_version FROM remit_retention;
REVOKE DELETE ON pruned FROM remit_retention;
