-- Alarms: what is open, the lines of history, the audit.
CREATE TABLE alarms_open
    (element text COLLATE "C" NOT NULL, condition text COLLATE "C" NOT NULL, data bytea NOT NULL,
     PRIMARY KEY (element, condition));
CREATE TABLE alarms_transitions
    (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL,
     element text COLLATE "C" NOT NULL, condition text NOT NULL, event text NOT NULL,
     before text NOT NULL, after text NOT NULL, tier integer NOT NULL, metric text NOT NULL,
     value double precision, bound double precision, who text NOT NULL,
     occurrence bigint NOT NULL);
CREATE INDEX alarms_transitions_at ON alarms_transitions (at);
CREATE TABLE alarms_audit
    (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL,
     who text NOT NULL, action text NOT NULL, element text COLLATE "C" NOT NULL,
     condition text NOT NULL, why text NOT NULL, before text NOT NULL, after text NOT NULL);
CREATE INDEX alarms_audit_at ON alarms_audit (at);
-- Which batch came last: what became of a commit whose answer was lost.
CREATE TABLE alarms_last_batch (one boolean PRIMARY KEY CHECK (one), token text NOT NULL);
