-- The version of the bars that replaced so many of them that a model trained before has learned another history; 0 where
-- none did.
ALTER TABLE tickers ADD COLUMN rewritten_version BIGINT NOT NULL DEFAULT 0;
