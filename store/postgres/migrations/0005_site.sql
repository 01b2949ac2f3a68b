-- Commands, and what the app and the command line saved.
CREATE TABLE IF NOT EXISTS site_commands
    (id text PRIMARY KEY, site text NOT NULL, device text NOT NULL, issued_us bigint NOT NULL,
     state text NOT NULL, changed_us bigint NOT NULL, told text NOT NULL);
CREATE INDEX IF NOT EXISTS site_commands_issued ON site_commands (site, issued_us);
CREATE TABLE IF NOT EXISTS site_saved
    (kind text NOT NULL, name text NOT NULL, told text NOT NULL, saved_us bigint NOT NULL,
     PRIMARY KEY (kind, name));
