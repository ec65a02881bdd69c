-- What came of a version when it challenged the champion of its day, as JSON; NULL where it never did.
ALTER TABLE models ADD COLUMN promotion TEXT;
