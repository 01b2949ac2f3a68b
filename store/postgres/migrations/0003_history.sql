-- Frames: one row an instant, float32 little-endian [metric, node] as in core/vocabulary.py, the
-- nodes as in the row's layout. EXTERNAL, so that one node's value is read without the others.
CREATE TABLE history_nodes (sid integer PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE);
CREATE TABLE history_layouts (layout integer PRIMARY KEY, sids bytea NOT NULL);
CREATE TABLE history_raw
    (time_us bigint NOT NULL PRIMARY KEY, layout integer NOT NULL, data bytea NOT NULL)
    PARTITION BY RANGE (time_us);
ALTER TABLE history_raw ALTER COLUMN data SET STORAGE EXTERNAL;

-- Minutes and hours as plain rows, one a node. n: samples that had a value, the others are NaN
-- where it is 0; seen_us: the newest of them. Rows come in the order of time, hence BRIN.
CREATE TABLE history_minute
    (sid integer NOT NULL, time_us bigint NOT NULL, seen_us bigint NOT NULL,
     power_kw_min real, power_kw_max real, power_kw_mean real, power_kw_last real,
     power_kw_n integer,
     soc_pct_min real, soc_pct_max real, soc_pct_mean real, soc_pct_last real,
     soc_pct_n integer,
     voltage_v_min real, voltage_v_max real, voltage_v_mean real, voltage_v_last real,
     voltage_v_n integer,
     current_a_min real, current_a_max real, current_a_mean real, current_a_last real,
     current_a_n integer,
     temperature_c_min real, temperature_c_max real, temperature_c_mean real,
     temperature_c_last real, temperature_c_n integer,
     soh_pct_min real, soh_pct_max real, soh_pct_mean real, soh_pct_last real,
     soh_pct_n integer,
     PRIMARY KEY (sid, time_us)) PARTITION BY RANGE (time_us);
CREATE INDEX history_minute_moments ON history_minute USING brin (time_us)
    WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE history_hour (LIKE history_minute, PRIMARY KEY (sid, time_us));
CREATE INDEX history_hour_moments ON history_hour USING brin (time_us)
    WITH (pages_per_range = 32, autosummarize = on);
