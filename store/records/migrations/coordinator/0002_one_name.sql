-- The names that the tables have in PostgreSQL, and the newest lines of a site without a search.
ALTER TABLE told RENAME TO coordinator_told;
ALTER TABLE notes RENAME TO coordinator_notes;
ALTER TABLE settings RENAME TO coordinator_settings;
ALTER TABLE minutes RENAME TO coordinator_minutes;
ALTER TABLE leases RENAME TO coordinator_leases;
CREATE INDEX coordinator_notes_site ON coordinator_notes (site, number);
CREATE INDEX coordinator_settings_site ON coordinator_settings (site, number);
