//! Bars as files: CSV, JSON or Parquet, in the columns that [`read`](super::read) reads back to the digit.

use polars::prelude::{Column, CsvWriter, DataFrame, ParquetWriter, PolarsResult, SerWriter};
use serde::Serialize;

use super::BodyFormat;
use crate::domain::{Bar, Series};

/// A bar as clients see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarRecord {
    /// ISO date, or RFC 3339 UTC within a day.
    pub session: String,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Units traded, where known.
    pub volume: Option<f64>,
}

impl BarRecord {
    /// The bar of a series under its interval's name.
    pub fn of(bar: &Bar, series: &Series) -> Self {
        Self {
            session: series.interval().label(bar.at()),
            open: bar.open(),
            high: bar.high(),
            low: bar.low(),
            close: bar.close(),
            volume: bar.volume(),
        }
    }
}

/// Bars that could not be written: out of memory, or a bug of the writer.
#[derive(Debug, thiserror::Error)]
#[error("bars could not be written as {format:?}: {message}")]
pub struct WriteError {
    /// What was asked for.
    pub format: BodyFormat,
    /// What the writer said.
    pub message: String,
}

/// Writes a series: columns session, open, high, low, close, volume; JSON is an array of such objects.
///
/// # Errors
/// Those of the writer; none is known to happen.
pub fn write(series: &Series, format: BodyFormat) -> Result<Vec<u8>, WriteError> {
    let failed = |message: String| WriteError { format, message };
    let mut out = Vec::new();
    match format {
        BodyFormat::Json => {
            let records: Vec<BarRecord> = series.bars().iter().map(|bar| BarRecord::of(bar, series)).collect();
            serde_json::to_writer(&mut out, &records).map_err(|error| failed(error.to_string()))?;
        }
        BodyFormat::Any | BodyFormat::Csv => {
            let mut frame = frame(series).map_err(|error| failed(error.to_string()))?;
            CsvWriter::new(&mut out).finish(&mut frame).map_err(|error| failed(error.to_string()))?;
        }
        BodyFormat::Parquet => {
            let mut frame = frame(series).map_err(|error| failed(error.to_string()))?;
            ParquetWriter::new(&mut out).finish(&mut frame).map_err(|error| failed(error.to_string()))?;
        }
    }
    Ok(out)
}

fn frame(series: &Series) -> PolarsResult<DataFrame> {
    let bars = series.bars();
    let prices = |value: fn(&Bar) -> f64| bars.iter().map(value).collect::<Vec<f64>>();
    let sessions: Vec<String> = bars.iter().map(|bar| series.interval().label(bar.at())).collect();
    DataFrame::new(
        bars.len(),
        vec![
            Column::new("session".into(), sessions),
            Column::new("open".into(), prices(Bar::open)),
            Column::new("high".into(), prices(Bar::high)),
            Column::new("low".into(), prices(Bar::low)),
            Column::new("close".into(), prices(Bar::close)),
            Column::new("volume".into(), bars.iter().map(Bar::volume).collect::<Vec<Option<f64>>>()),
        ],
    )
}
