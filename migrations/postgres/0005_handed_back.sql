-- How many attempts a worker handed back because it stopped: told apart from those that took their worker down.
ALTER TABLE jobs ADD COLUMN handed_back BIGINT NOT NULL DEFAULT 0;
