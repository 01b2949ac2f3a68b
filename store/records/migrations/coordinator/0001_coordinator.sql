-- What a coordinator keeps. Files had these tables before they had numbers.
CREATE TABLE IF NOT EXISTS told
    (site TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, at_us INTEGER NOT NULL,
     told BLOB NOT NULL, PRIMARY KEY (site, kind, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, told BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS settings
    (number INTEGER PRIMARY KEY, site TEXT NOT NULL, at_us INTEGER NOT NULL, who TEXT NOT NULL,
     told TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS minutes
    (site TEXT NOT NULL, time_us INTEGER NOT NULL, told BLOB NOT NULL,
     PRIMARY KEY (site, time_us)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS leases
    (site TEXT PRIMARY KEY NOT NULL, holder TEXT NOT NULL, until_us INTEGER NOT NULL);
