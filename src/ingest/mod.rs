//! Any broker's file to bars: bytes come in; bars by ticker, refused rows with their lines, and how the file
//! was understood go out.
//!
//! A body travels down these files: [`inflate`] unpacks it under caps, `decode` says what it is and finds its
//! encoding, `records` and `csv` (or `json`, `parquet` or `workbook`) make a table of text of it, `header`, `layout` and
//! `columns` (by the `names` that vendors use, `rivals` where two could be meant) tell which column is which, `rules` decides by all rows how dates and
//! numbers are written, `bars` reads each row, `series` puts a ticker's bars in order, `repeats`, `meaning` and
//! `volume_basis` tell what looks wrong in them, and `dialect` tells how all this was understood.
//!
//! Rules, not vendors: nothing is read by who wrote it. Where the rows leave two readings open the body is
//! refused with both, and an option decides. What a valid bar is, only [`Bar::new`](crate::domain::Bar::new) knows.
//!
//! Absent on purpose: any clock, any file, any network; guessing.

mod options;
mod error;
mod reading;
mod inflate;
mod decode;
mod records;
mod columns;
mod names;
mod date_column;
mod date_parts;
mod rivals;
mod layout;
mod header;
mod guess;
mod sheet;
mod csv;
mod json_value;
mod json_rows;
mod json_shapes;
mod json;
mod parquet;
mod workbook;
mod date_words;
mod clock;
mod date_triple;
mod date_digits;
mod dates;
mod date_pattern;
mod date_doubt;
mod date_sequence;
mod date_tally;
mod date_vote;
mod numbers;
mod fractions;
mod units;
mod stamps;
mod spacing;
mod timing;
mod volumes;
mod tickers;
mod rules;
mod refusals;
mod bars;
mod repeats;
mod stretches;
mod volume_basis;
mod splits;
mod meaning;
mod series;
mod dialect;
mod read;
mod write;

pub use error::{ReadError, ReadErrorKind};
pub use inflate::inflate;
pub use options::{Adjust, BodyFormat, ContentEncoding, IngestLimits, PriceBasis, ReadOptions, Resample};
pub use read::read;
pub use reading::{Dialect, Reading, Refusal, TickerReading, Warning};
pub use spacing::may_be_neighbours;
pub use write::{BarRecord, WriteError, write};
