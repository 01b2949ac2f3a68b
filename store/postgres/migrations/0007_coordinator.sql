-- What a coordinator keeps; runs of large fleets are some MB of numbers.
CREATE TABLE coordinator_told
    (site text COLLATE "C" NOT NULL, kind text COLLATE "C" NOT NULL,
     name text COLLATE "C" NOT NULL, at_us bigint NOT NULL, told bytea NOT NULL,
     PRIMARY KEY (site, kind, name));
ALTER TABLE coordinator_told ALTER COLUMN told SET STORAGE EXTERNAL;
CREATE TABLE coordinator_notes
    (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, site text COLLATE "C" NOT NULL,
     told bytea NOT NULL);
CREATE INDEX coordinator_notes_site ON coordinator_notes (site, number);
CREATE TABLE coordinator_settings
    (number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, site text COLLATE "C" NOT NULL,
     at_us bigint NOT NULL, who text NOT NULL, told text NOT NULL);
CREATE INDEX coordinator_settings_site ON coordinator_settings (site, number);
CREATE TABLE coordinator_minutes
    (site text COLLATE "C" NOT NULL, time_us bigint NOT NULL, told bytea NOT NULL,
     PRIMARY KEY (site, time_us));
CREATE TABLE coordinator_leases
    (site text COLLATE "C" PRIMARY KEY, holder text NOT NULL, until_us bigint NOT NULL);
