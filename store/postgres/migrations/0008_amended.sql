-- Minutes that tell more than their frames: what devices delivered late was put into them.
CREATE TABLE history_amended (time_us bigint PRIMARY KEY);
CREATE TABLE channels_amended (time_us bigint PRIMARY KEY);
