-- Every forecast that was served, as log returns at the 13 scored quantile levels; what came true is in `bars`.
CREATE TABLE ledger (
    ticker_id     BIGINT NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    as_of_ts      BIGINT NOT NULL,
    step          BIGINT NOT NULL,
    model         TEXT    NOT NULL,
    data_version  BIGINT NOT NULL,
    live          BOOLEAN NOT NULL,
    last_close    DOUBLE PRECISION NOT NULL,
    point         DOUBLE PRECISION NOT NULL,
    quantiles     TEXT    NOT NULL,
    served_at     BIGINT NOT NULL,
    PRIMARY KEY (ticker_id, as_of_ts, step, model, data_version)
);
