-- What other tickers did is known later than a ticker's own bar: a forecast that knows more of it is another one.
CREATE TABLE ledger_in_market (
    ticker_id     INTEGER NOT NULL REFERENCES tickers (id) ON DELETE CASCADE,
    as_of_ts      INTEGER NOT NULL,
    step          INTEGER NOT NULL,
    model         TEXT    NOT NULL,
    data_version  INTEGER NOT NULL,
    market        INTEGER NOT NULL,
    -- How many others it knew; NULL where none.
    market_tickers INTEGER,
    live          INTEGER NOT NULL,
    last_close    REAL    NOT NULL,
    point         REAL    NOT NULL,
    quantiles     TEXT    NOT NULL,
    served_at     INTEGER NOT NULL,
    PRIMARY KEY (ticker_id, as_of_ts, step, model, data_version, market)
) STRICT, WITHOUT ROWID;
INSERT INTO ledger_in_market
    SELECT ticker_id, as_of_ts, step, model, data_version, 0, NULL, live, last_close, point, quantiles, served_at FROM ledger;
DROP TABLE ledger;
ALTER TABLE ledger_in_market RENAME TO ledger;
-- The tickers of an exchange, the first stored first.
CREATE INDEX tickers_by_market ON tickers (calendar, interval, id);
