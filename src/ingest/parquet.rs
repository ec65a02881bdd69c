//! Parquet to columns of text: its types are read as they are written in text, so that one reader reads all.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use polars::prelude::{ArrowDataType, ArrowField, DataFrame, DataType, ParquetReader, PolarsResult, SerReader};

use super::sheet::{Sheet, Source};
use super::{IngestLimits, ReadError, ReadOptions, columns, decode, layout};

/// Reads a Parquet file.
///
/// # Errors
/// `invalid_parquet`, a cap that is passed, or a layout that is no bars.
pub(super) fn read(bytes: &[u8], options: &ReadOptions, limits: &IngestLimits) -> Result<Source, ReadError> {
    if !bytes.starts_with(b"PAR1") {
        decode::refuse_by_first_bytes(bytes)?;
        return Err(invalid("it does not begin with PAR1"));
    }
    // The decoder indexes by lengths that the file claims: a broken file may make it panic.
    let frame = catch_unwind(AssertUnwindSafe(|| frame(bytes, limits)))
        .unwrap_or_else(|_| Err(invalid("its pages are broken")))?;
    let names: Vec<String> = frame.columns().iter().map(|column| column.name().to_string()).collect();
    let texts: Vec<_> = frame
        .columns()
        .iter()
        .map(|column| {
            column
                .cast(&DataType::String)
                .unwrap_or_else(|_| column.clear().cast(&DataType::String).unwrap_or_default())
        })
        .collect();
    let whole: Vec<usize> = (0..texts.len()).filter(|idx| texts[*idx].len() == frame.height()).collect();
    let kept: Vec<_> = whole.iter().map(|idx| texts[*idx].clone()).collect();
    let text = DataFrame::new(frame.height(), kept).map_err(|error| invalid(&error.to_string()))?;
    let lines: Vec<u32> = (1..=frame.height() as u32).collect();
    let mut sheet = Sheet::new(text, &whole, lines)?;
    let row = |row: usize| (0..names.len()).map(|idx| sheet.cell(idx, row).chars().take(100).collect()).collect();
    let sample: Vec<Vec<String>> = (0..frame.height().min(200)).map(row).collect();
    if frame.height() == 0 {
        return Err(ReadError::unusable("no_rows", "the file has no rows"));
    }
    let layout = layout::of_names(names, &sample, options)?;
    sheet.join(&layout.joined);
    Ok(Source {
        layout,
        sheet,
        rejected: Vec::new(),
        notes: Vec::new(),
        delimiter: None,
        has_commas: false,
        commas_are_quoted: false,
        signs_beside: (0, 0),
        is_typed: true,
        told_zone: None,
    })
}

fn frame(bytes: &[u8], limits: &IngestLimits) -> Result<DataFrame, ReadError> {
    let broken = |error: polars::prelude::PolarsError| invalid(&error.to_string());
    let (mut reader, zoned) = reader(bytes).map_err(broken)?;
    let metadata = reader.get_metadata().map_err(broken)?.clone();
    if metadata.num_rows > limits.max_rows {
        return Err(ReadError::OverLimit { code: "too_many_rows", what: "rows", max: limits.max_rows });
    }
    let unpacked: usize = metadata.row_groups.iter().map(|group| group.total_byte_size()).sum();
    if unpacked > limits.max_inflated_bytes {
        return Err(ReadError::OverLimit {
            code: "inflated_too_large",
            what: "unpacked bytes",
            max: limits.max_inflated_bytes,
        });
    }
    let schema = reader.schema().map_err(broken)?.clone();
    if schema.len() > limits.max_columns {
        return Err(ReadError::OverLimit { code: "too_many_columns", what: "columns", max: limits.max_columns });
    }
    let mut kept = Vec::with_capacity(schema.len());
    for (idx, field) in schema.iter_values().enumerate() {
        match is_read(&field.dtype) {
            true => kept.push(idx),
            false if columns::named(&field.name).is_none() => {}
            false => {
                let message = format!("column {:?} is of a type that is not read: write it as a double", field.name);
                return Err(ReadError::unreadable("unsupported_type", message));
            }
        }
    }
    let mut frame = reader.with_projection(Some(kept)).finish().map_err(broken)?;
    for field in &zoned {
        if let Ok(instants) = frame.column(&field.name) {
            let told = instants.cast(&DataType::from_arrow_field(field)).map_err(broken)?;
            frame.with_column(told).map_err(broken)?;
        }
    }
    Ok(frame)
}

type Reader<'a> = ParquetReader<Cursor<&'a [u8]>>;

/// Texts that Arrow's schema calls a dictionary would be written out, once a row: gigabytes of a file of kilobytes. Without
/// that schema they are texts like others, each a view on the one that is stored; the columns whose time zones only the
/// schema tells are named beside the reader.
fn reader(bytes: &[u8]) -> PolarsResult<(Reader<'_>, Vec<ArrowField>)> {
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let is_dictionary = |field: &ArrowField| matches!(field.dtype, ArrowDataType::Dictionary(..));
    let schema = reader.schema()?;
    if !schema.iter_values().any(is_dictionary) {
        return Ok((reader, Vec::new()));
    }
    let has_zone = |field: &&ArrowField| matches!(field.dtype, ArrowDataType::Timestamp(_, Some(_)));
    let zoned = schema.iter_values().filter(has_zone).cloned().collect();
    let mut metadata = reader.get_metadata()?.as_ref().clone();
    metadata.key_value_metadata = None;
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    reader.set_metadata(Arc::new(metadata));
    Ok((reader, zoned))
}

/// Types that become text; lists, structs and bytes are no prices, and decimals of 128 bits are not decoded.
fn is_read(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    matches!(
        dtype,
        T::Boolean
            | T::Int32
            | T::Int64
            | T::UInt32
            | T::UInt64
            | T::Float32
            | T::Float64
            | T::Utf8
            | T::LargeUtf8
            | T::Utf8View
            | T::Date32
            | T::Date64
            | T::Timestamp(_, _)
            | T::Time32(_)
            | T::Time64(_)
    )
}

fn invalid(why: &str) -> ReadError {
    let why: String = why.chars().take(200).collect();
    ReadError::unreadable("invalid_parquet", format!("the body is not a whole Parquet file: {why}"))
}
