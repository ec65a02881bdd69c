//! What a user says about a file: the options of reading as flags.

use crate::ingest::{Adjust, PriceBasis, ReadOptions, Resample};

/// How files are read where detection is wrong; each is a query parameter of the HTTP API too.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reading")]
pub(super) struct ReadFlags {
    /// How dates are written: %d/%m/%Y and the like, or epoch, excel, roc, buddhist.
    #[arg(long, value_name = "FORMAT")]
    date_format: Option<String>,
    /// What stands between fields: , ; | or tab.
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<String>,
    /// The decimal sign: . or ,
    #[arg(long, value_name = "SIGN")]
    decimal: Option<String>,
    /// The characters' encoding: utf-8, cp949, shift_jis, gbk, big5, windows-1252.
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// Which column is which: date,open,high,low,close,volume by position (- skips one), or close:Last by name.
    #[arg(long, value_name = "COLUMNS")]
    columns: Option<String>,
    /// Which prices are kept where a file has both: raw or adjusted.
    #[arg(long, value_name = "BASIS", value_parser = price_basis)]
    price_basis: Option<PriceBasis>,
    /// The zone of times that have none: Asia/Seoul, America/New_York, +09:00.
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    timezone: Option<String>,
    /// split: puts earlier prices on the scale of the newest where a split is suspected.
    #[arg(long, value_name = "WHAT", value_parser = adjust)]
    adjust: Option<Adjust>,
    /// 1d: puts bars within a day together to sessions.
    #[arg(long, value_name = "INTERVAL", value_parser = resample)]
    resample: Option<Resample>,
}

impl ReadFlags {
    pub(super) fn options(&self) -> ReadOptions {
        let Self { date_format, delimiter, decimal, encoding, columns, timezone, .. } = self;
        ReadOptions {
            date_format: date_format.clone(),
            delimiter: delimiter.clone(),
            decimal: decimal.clone(),
            encoding: encoding.clone(),
            columns: columns.clone(),
            timezone: timezone.clone(),
            price_basis: self.price_basis,
            adjust: self.adjust,
            resample: self.resample,
            continues: None,
        }
    }
}

fn price_basis(text: &str) -> Result<PriceBasis, String> {
    match text {
        "raw" => Ok(PriceBasis::Raw),
        "adjusted" => Ok(PriceBasis::Adjusted),
        _ => Err("expected raw or adjusted".to_owned()),
    }
}

fn adjust(text: &str) -> Result<Adjust, String> {
    match text {
        "split" => Ok(Adjust::Split),
        _ => Err("expected split".to_owned()),
    }
}

fn resample(text: &str) -> Result<Resample, String> {
    match text {
        "1d" => Ok(Resample::Day),
        _ => Err("expected 1d".to_owned()),
    }
}
