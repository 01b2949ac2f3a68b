-- The names that the tables have in PostgreSQL, and which batch came last.
ALTER TABLE open_alarms RENAME TO alarms_open;
ALTER TABLE transitions RENAME TO alarms_transitions;
ALTER TABLE audit RENAME TO alarms_audit;
CREATE TABLE alarms_last_batch (one BOOLEAN PRIMARY KEY NOT NULL CHECK (one), token TEXT NOT NULL);
