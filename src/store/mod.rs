//! All SQL: SQLite and Postgres behind one set of functions.
