-- How many minutes of an hour have a value. An hour that an older Orrery kept counts as whole.
ALTER TABLE history_hour
    ADD COLUMN power_kw_minutes smallint NOT NULL DEFAULT 60,
    ADD COLUMN soc_pct_minutes smallint NOT NULL DEFAULT 60,
    ADD COLUMN voltage_v_minutes smallint NOT NULL DEFAULT 60,
    ADD COLUMN current_a_minutes smallint NOT NULL DEFAULT 60,
    ADD COLUMN temperature_c_minutes smallint NOT NULL DEFAULT 60,
    ADD COLUMN soh_pct_minutes smallint NOT NULL DEFAULT 60;
