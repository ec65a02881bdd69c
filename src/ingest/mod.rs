//! Bytes of a price file to bars, and a report of the rows that are none.
