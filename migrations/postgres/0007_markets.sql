-- What other tickers did is known later than a ticker's own bar: a forecast that knows more of it is another one.
ALTER TABLE ledger ADD COLUMN market BIGINT NOT NULL DEFAULT 0;
-- How many others it knew; NULL where none.
ALTER TABLE ledger ADD COLUMN market_tickers BIGINT;
ALTER TABLE ledger DROP CONSTRAINT ledger_pkey;
ALTER TABLE ledger ADD PRIMARY KEY (ticker_id, as_of_ts, step, model, data_version, market);
-- The tickers of an exchange, the first stored first.
CREATE INDEX tickers_by_market ON tickers (calendar, interval, id);
