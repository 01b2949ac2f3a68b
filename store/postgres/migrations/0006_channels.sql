-- The devices' channels, as the battery tree's history in 0003: frames of the one column "value".
CREATE TABLE channels_nodes (sid integer PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE);
CREATE TABLE channels_layouts (layout integer PRIMARY KEY, sids bytea NOT NULL);
CREATE TABLE channels_raw
    (time_us bigint NOT NULL PRIMARY KEY, layout integer NOT NULL, data bytea NOT NULL)
    PARTITION BY RANGE (time_us);
ALTER TABLE channels_raw ALTER COLUMN data SET STORAGE EXTERNAL;

-- Minutes of six hours of one channel in one row (store/postgres/packs.py): a channel has 90 days
-- of them, and a row of its own for each would take fifteen times the room.
CREATE TABLE channels_minute
    (sid integer NOT NULL, time_us bigint NOT NULL, data bytea NOT NULL,
     PRIMARY KEY (sid, time_us)) PARTITION BY RANGE (time_us);
ALTER TABLE channels_minute ALTER COLUMN data SET STORAGE EXTERNAL;

-- Hours as plain rows.
CREATE TABLE channels_hour
    (sid integer NOT NULL, time_us bigint NOT NULL, seen_us bigint NOT NULL,
     value_min real, value_max real, value_mean real, value_last real,
     value_n integer, value_minutes smallint NOT NULL,
     PRIMARY KEY (sid, time_us));
CREATE INDEX channels_hour_moments ON channels_hour USING brin (time_us)
    WITH (pages_per_range = 32, autosummarize = on);
