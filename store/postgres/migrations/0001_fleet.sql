-- The fleet's telemetry: each (device, sequence) once.
-- Bodies are floats that do not compress, hence EXTERNAL. Rows come in the order of received_us,
-- so that a BRIN of some kB finds what is old, and nearly so in that of time_us.
CREATE TABLE fleet_devices
    (num integer PRIMARY KEY, site text NOT NULL, device text NOT NULL, stream text NOT NULL,
     high bigint NOT NULL, last bigint NOT NULL, heard_us bigint NOT NULL,
     newest_us bigint NOT NULL, UNIQUE (site, device)) WITH (fillfactor = 50);
CREATE TABLE fleet_retired
    (num integer NOT NULL, stream text NOT NULL, PRIMARY KEY (num, stream));
CREATE TABLE fleet_gaps
    (num integer NOT NULL, first bigint NOT NULL, last bigint NOT NULL, PRIMARY KEY (num, first));
CREATE TABLE fleet_telemetry
    (num integer NOT NULL, seq bigint NOT NULL, time_us bigint NOT NULL,
     received_us bigint NOT NULL, reason text NOT NULL, body bytea,
     PRIMARY KEY (num, seq)) PARTITION BY HASH (num);
ALTER TABLE fleet_telemetry ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX fleet_telemetry_moments ON fleet_telemetry USING brin (received_us, time_us)
    WITH (pages_per_range = 32, autosummarize = on);
DO $$
BEGIN
    FOR part IN 0..7 LOOP
        EXECUTE format(
            'CREATE TABLE fleet_telemetry_%s PARTITION OF fleet_telemetry '
            'FOR VALUES WITH (MODULUS 8, REMAINDER %s) '
            'WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0)',
            part, part);
    END LOOP;
END $$;
