-- Every forecast that was served, as log returns at the 13 scored quantile levels; what came true is in `bars`.
CREATE TABLE ledger (
    ticker_id     INTEGER NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    as_of_ts      INTEGER NOT NULL,
    step          INTEGER NOT NULL,
    model         TEXT    NOT NULL,
    data_version  INTEGER NOT NULL,
    live          INTEGER NOT NULL,
    last_close    REAL    NOT NULL,
    point         REAL    NOT NULL,
    quantiles     TEXT    NOT NULL,
    served_at     INTEGER NOT NULL,
    PRIMARY KEY (ticker_id, as_of_ts, step, model, data_version)
) STRICT, WITHOUT ROWID;
