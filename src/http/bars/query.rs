//! What a caller says about a body of prices.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::http::error::Problem;
use crate::http::tickers::calendar;
use crate::ingest::{Adjust, PriceBasis, ReadOptions, Resample};
use crate::jobs::ingest::{IngestRequest, OnError, TrainChoice};
use crate::store::OnConflict;

/// How a body is to be read and stored.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PostBarsQuery {
    /// Report all that would happen, store nothing.
    #[serde(default)]
    dry_run: bool,
    /// What a bad row does to the good ones.
    #[serde(default)]
    #[param(inline)]
    on_error: OnErrorQuery,
    /// What a bar that is stored with other values gets.
    #[serde(default)]
    #[param(inline)]
    on_conflict: OnConflictQuery,
    /// How dates are written, as `%d/%m/%Y`, or `epoch`, `excel`, `roc`; detected where absent.
    #[param(example = "%Y-%m-%d")]
    date_format: Option<String>,
    /// What stands between fields: `,` `;` `|` or `tab`.
    delimiter: Option<String>,
    /// The decimal sign: `.` or `,`.
    decimal: Option<String>,
    /// The characters' encoding, as `utf-8` or `cp949`.
    encoding: Option<String>,
    /// Which prices are kept where a file has both.
    #[param(inline)]
    price_basis: Option<PriceBasisQuery>,
    /// Which column is which: `date,open,high,low,close,volume` by position, or `close:Last` by name.
    columns: Option<String>,
    /// The zone of times that have none, a place or an offset (`+09:00`); UTC where absent.
    #[param(example = "Asia/Seoul")]
    timezone: Option<String>,
    /// What is done about suspected splits; nothing but a warning where absent.
    #[param(inline)]
    adjust: Option<AdjustQuery>,
    /// What bars within a day become; they stay what they are where absent.
    #[param(inline)]
    resample: Option<ResampleQuery>,
    /// A MIC (`XNYS`, `XKRX`, …), `24/7` or `weekdays`; by the ticker's suffix and the dates where absent.
    calendar: Option<String>,
    /// Whether the retraining policy may queue a training.
    #[serde(default)]
    #[param(inline)]
    train: TrainQuery,
}

/// What a bad row does.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum OnErrorQuery {
    /// Good rows are stored, bad ones reported.
    #[default]
    Quarantine,
    /// Any bad row refuses the whole body with 422.
    Reject,
}

/// What a stored bar with other values gets.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum OnConflictQuery {
    /// The values sent.
    #[default]
    Replace,
    /// The values stored.
    Keep,
    /// 409, and nothing of the body is stored.
    Reject,
}

/// Raw or adjusted prices.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PriceBasisQuery {
    /// As traded.
    Raw,
    /// Scaled for dividends and splits.
    Adjusted,
}

/// What is done about suspected splits.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum AdjustQuery {
    /// Earlier prices and volumes are put on the scale of the newest.
    Split,
}

/// What bars within a day become.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub(in crate::http) enum ResampleQuery {
    /// Sessions.
    #[serde(rename = "1d")]
    Day,
}

/// Whether a training may be queued.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum TrainQuery {
    /// When the ticker's policy says so.
    #[default]
    Auto,
    /// Not for these bars. Of a ticker that has a model, workers queue what its policy says is due all the same,
    /// unless the policy's `automatic` is false.
    Never,
}

impl PostBarsQuery {
    /// `plain` with all that the query says; `charset` is what the content type said of the characters.
    pub(super) fn request(self, plain: IngestRequest, charset: Option<String>) -> Result<IngestRequest, Problem> {
        Ok(IngestRequest {
            calendar: self.calendar.as_deref().map(calendar).transpose()?,
            dry_run: self.dry_run,
            on_error: match self.on_error {
                OnErrorQuery::Quarantine => OnError::Quarantine,
                OnErrorQuery::Reject => OnError::Reject,
            },
            on_conflict: match self.on_conflict {
                OnConflictQuery::Replace => OnConflict::Replace,
                OnConflictQuery::Keep => OnConflict::Keep,
                OnConflictQuery::Reject => OnConflict::Reject,
            },
            train: match self.train {
                TrainQuery::Auto => TrainChoice::Auto,
                TrainQuery::Never => TrainChoice::Never,
            },
            options: ReadOptions {
                continues: None,
                date_format: self.date_format,
                delimiter: self.delimiter,
                decimal: self.decimal,
                encoding: self.encoding.or(charset),
                price_basis: self.price_basis.map(|basis| match basis {
                    PriceBasisQuery::Raw => PriceBasis::Raw,
                    PriceBasisQuery::Adjusted => PriceBasis::Adjusted,
                }),
                columns: self.columns,
                timezone: self.timezone,
                adjust: self.adjust.map(|AdjustQuery::Split| Adjust::Split),
                resample: self.resample.map(|ResampleQuery::Day| Resample::Day),
            },
            ..plain
        })
    }
}
