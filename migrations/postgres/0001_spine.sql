-- Tickers, their bars, jobs, model versions and API keys.
-- Bar times are seconds since 1970 UTC; all other times are milliseconds by this database's clock.

-- The database's clock under one name in both dialects.
CREATE VIEW clock AS SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS ms;

CREATE TABLE tickers (
    id            BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name          TEXT    NOT NULL UNIQUE,
    interval      TEXT    NOT NULL,
    calendar      TEXT    NOT NULL,
    currency      TEXT,
    price_basis   TEXT    NOT NULL,
    policy        TEXT    NOT NULL,
    champion      BIGINT,
    data_version  BIGINT NOT NULL DEFAULT 0,
    revision      BIGINT NOT NULL DEFAULT 0,
    bars_total    BIGINT NOT NULL DEFAULT 0,
    first_ts      BIGINT,
    last_ts       BIGINT
);
CREATE INDEX tickers_by_revision ON tickers (revision);

-- Deleted tickers leave their revision here, so that who keeps answers in memory learns of it.
CREATE TABLE deleted_tickers (
    name      TEXT    NOT NULL PRIMARY KEY,
    revision  BIGINT NOT NULL
);

CREATE TABLE counters (
    name   TEXT    NOT NULL PRIMARY KEY,
    value  BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revision', 0);

CREATE TABLE bars (
    ticker_id  BIGINT NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    ts         BIGINT NOT NULL,
    open       DOUBLE PRECISION    NOT NULL,
    high       DOUBLE PRECISION    NOT NULL,
    low        DOUBLE PRECISION    NOT NULL,
    close      DOUBLE PRECISION    NOT NULL,
    volume     DOUBLE PRECISION,
    PRIMARY KEY (ticker_id, ts)
);

CREATE TABLE jobs (
    id                TEXT    NOT NULL PRIMARY KEY,
    kind              TEXT    NOT NULL,
    ticker_id         BIGINT NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    state             TEXT    NOT NULL CHECK (state IN ('enqueued', 'running', 'succeeded', 'failed', 'canceled')),
    payload           TEXT    NOT NULL,
    attempt           BIGINT NOT NULL DEFAULT 0,
    failures          BIGINT NOT NULL DEFAULT 0,
    cancel_requested  BOOLEAN NOT NULL DEFAULT FALSE,
    lease_token       BIGINT NOT NULL DEFAULT 0,
    lease_until       BIGINT,
    run_after         BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    started_at        BIGINT,
    finished_at       BIGINT,
    progress          TEXT,
    result            TEXT,
    error             TEXT
);
CREATE UNIQUE INDEX jobs_one_active ON jobs (ticker_id, kind) WHERE state IN ('enqueued', 'running');
CREATE INDEX jobs_due ON jobs (run_after) WHERE state = 'enqueued';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE INDEX jobs_by_ticker ON jobs (ticker_id, id);

CREATE TABLE models (
    ticker_id     BIGINT NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    version       BIGINT NOT NULL,
    job_id        TEXT,
    data_version  BIGINT NOT NULL,
    bars          BIGINT NOT NULL,
    first_ts      BIGINT NOT NULL,
    last_ts       BIGINT NOT NULL,
    sha256        TEXT    NOT NULL,
    bytes         BIGINT NOT NULL,
    manifest      TEXT    NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (ticker_id, version)
);

CREATE TABLE api_keys (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    hash        TEXT    NOT NULL UNIQUE,
    scope       TEXT    NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT
);
