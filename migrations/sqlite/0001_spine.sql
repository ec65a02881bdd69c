-- Tickers, their bars, jobs, model versions and API keys.
-- Bar times are seconds since 1970 UTC; all other times are milliseconds by this database's clock.

-- The database's clock under one name in both dialects.
CREATE VIEW clock AS SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER) AS ms;

CREATE TABLE tickers (
    -- AUTOINCREMENT: the id of a deleted ticker is never given again, so that who still holds it finds nothing.
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    name          TEXT    NOT NULL UNIQUE,
    interval      TEXT    NOT NULL,
    calendar      TEXT    NOT NULL,
    currency      TEXT,
    price_basis   TEXT    NOT NULL,
    policy        TEXT    NOT NULL,
    champion      INTEGER,
    data_version  INTEGER NOT NULL DEFAULT 0,
    revision      INTEGER NOT NULL DEFAULT 0,
    bars_total    INTEGER NOT NULL DEFAULT 0,
    first_ts      INTEGER,
    last_ts       INTEGER
) STRICT;
CREATE INDEX tickers_by_revision ON tickers (revision);

-- Deleted tickers leave their revision here, so that who keeps answers in memory learns of it.
CREATE TABLE deleted_tickers (
    name      TEXT    NOT NULL PRIMARY KEY,
    revision  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    name   TEXT    NOT NULL PRIMARY KEY,
    value  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('revision', 0);

-- Without a reference to tickers: checking it for every bar takes a sixth of the time of storing them, and the one
-- statement that makes bars has just read the ticker in the same transaction.
CREATE TABLE bars (
    ticker_id  INTEGER NOT NULL,
    ts         INTEGER NOT NULL,
    open       REAL    NOT NULL,
    high       REAL    NOT NULL,
    low        REAL    NOT NULL,
    close      REAL    NOT NULL,
    volume     REAL,
    PRIMARY KEY (ticker_id, ts)
) STRICT, WITHOUT ROWID;

CREATE TABLE jobs (
    id                TEXT    NOT NULL PRIMARY KEY,
    kind              TEXT    NOT NULL,
    ticker_id         INTEGER NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    state             TEXT    NOT NULL CHECK (state IN ('enqueued', 'running', 'succeeded', 'failed', 'canceled')),
    payload           TEXT    NOT NULL,
    attempt           INTEGER NOT NULL DEFAULT 0,
    failures          INTEGER NOT NULL DEFAULT 0,
    cancel_requested  INTEGER NOT NULL DEFAULT FALSE,
    lease_token       INTEGER NOT NULL DEFAULT 0,
    lease_until       INTEGER,
    run_after         INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    finished_at       INTEGER,
    progress          TEXT,
    result            TEXT,
    error             TEXT
) STRICT;
CREATE UNIQUE INDEX jobs_one_active ON jobs (ticker_id, kind) WHERE state IN ('enqueued', 'running');
CREATE INDEX jobs_due ON jobs (run_after) WHERE state = 'enqueued';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_ticker ON jobs (ticker_id, id);

CREATE TABLE models (
    ticker_id     INTEGER NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    version       INTEGER NOT NULL,
    job_id        TEXT,
    data_version  INTEGER NOT NULL,
    bars          INTEGER NOT NULL,
    first_ts      INTEGER NOT NULL,
    last_ts       INTEGER NOT NULL,
    sha256        TEXT    NOT NULL,
    bytes         INTEGER NOT NULL,
    manifest      TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (ticker_id, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    hash        TEXT    NOT NULL UNIQUE,
    scope       TEXT    NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    created_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TRIGGER bars_of_deleted_tickers AFTER DELETE ON tickers
BEGIN
    DELETE FROM bars WHERE ticker_id = OLD.id;
END;
