-- Walk-forward runs that ended well; `id` is the job's. `points` is the CSV of every forecast, zstd.
CREATE TABLE backtests (
    id            TEXT    NOT NULL PRIMARY KEY,
    ticker_id     BIGINT  NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    data_version  BIGINT  NOT NULL,
    settings      TEXT    NOT NULL,
    verdict       TEXT    NOT NULL,
    report        TEXT    NOT NULL,
    points        BYTEA   NOT NULL,
    created_at    BIGINT  NOT NULL
);
CREATE INDEX backtests_by_ticker ON backtests (ticker_id, id);
