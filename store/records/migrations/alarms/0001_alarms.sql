-- Alarms: what is open, the lines of history, the audit. Files had these tables before they had
-- numbers.
CREATE TABLE IF NOT EXISTS open_alarms
    (element TEXT NOT NULL, condition TEXT NOT NULL, data BLOB NOT NULL,
     PRIMARY KEY (element, condition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transitions
    (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, element TEXT NOT NULL,
     condition TEXT NOT NULL, event TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL,
     tier INTEGER NOT NULL, metric TEXT NOT NULL, value REAL, bound REAL, who TEXT NOT NULL,
     occurrence INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS transitions_at ON transitions (at);
CREATE TABLE IF NOT EXISTS audit
    (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, who TEXT NOT NULL,
     action TEXT NOT NULL, element TEXT NOT NULL, condition TEXT NOT NULL, why TEXT NOT NULL,
     before TEXT NOT NULL, after TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS audit_at ON audit (at);
