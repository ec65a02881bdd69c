-- Walk-forward runs that ended well; `id` is the job's. `points` is the CSV of every forecast, zstd.
CREATE TABLE backtests (
    id            TEXT    NOT NULL PRIMARY KEY,
    ticker_id     INTEGER NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    data_version  INTEGER NOT NULL,
    settings      TEXT    NOT NULL,
    verdict       TEXT    NOT NULL,
    report        TEXT    NOT NULL,
    points        BLOB    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX backtests_by_ticker ON backtests (ticker_id, id);
