//! Every code that is told, with what it means and what to do; `/docs/problems` shows them.
//!
//! [`CODES`] are the API's own, each with its status. The [`SECTIONS`] are of what `ingest`, `jobs` and `forecast` say of
//! files, rows, jobs and forecasts. A test reads their sources and names each code that is missing here.

/// Each code with its status and what it means; `/docs/problems` shows this table.
pub(super) const CODES: &[(&str, u16, &str)] = &[
    ("bad_query", 400, "A query parameter is unknown, missing or cannot be read."),
    ("bad_path", 400, "Part of the path cannot be read."),
    ("bad_json", 400, "The body is not JSON."),
    ("bad_body", 400, "The body ended early or could not be received."),
    ("bad_cursor", 400, "The cursor is not one that a list gave."),
    ("bad_ticker", 400, "The ticker has characters that no ticker has."),
    (
        "unauthorized",
        401,
        "An API key is needed: `Authorization: Bearer KEY`; through a proxy also where none was made yet.",
    ),
    ("forbidden", 403, "The API key lacks the scope that this needs."),
    ("cross_origin", 403, "A web page of another origin asked; this server answers its own page only."),
    ("foreign_host", 403, "Without API keys the server answers only to names of this machine (localhost, 127.0.0.1)."),
    ("not_found", 404, "There is nothing at this path."),
    ("unknown_ticker", 404, "Nobody sent bars of this ticker."),
    ("unknown_job", 404, "There is no such job."),
    ("unknown_backtest", 404, "The ticker has no such backtest, or no longer: the newest few are kept."),
    ("unknown_version", 404, "The ticker has no such model version."),
    ("method_not_allowed", 405, "The path exists, the method does not; `Allow` names those that do."),
    ("body_timeout", 408, "The body came too slowly."),
    ("no_model_yet", 409, "Nothing was trained for this ticker yet; `job` is the training, where one is queued."),
    ("model_expired", 409, "The champion is older than the policy allows; `allow_stale=true` asks it all the same."),
    ("bar_conflict", 409, "A stored bar has other values, and `on_conflict=reject` was asked for."),
    ("interval_mismatch", 409, "The series holds bars of another interval."),
    ("price_basis_mismatch", 409, "The series holds raw prices and these are adjusted, or the other way round."),
    ("backtest_not_done", 409, "The backtest is not done, was canceled or failed; `job` says which."),
    ("job_finished", 409, "The job has ended; nothing is left to cancel."),
    ("conflict", 409, "Somebody else changed it at the same moment; look again, then repeat."),
    ("body_too_large", 413, "The body is above the cap of `/v1/limits`."),
    ("unsupported_media_type", 415, "The content type is not one that this path reads."),
    ("unsupported_encoding", 415, "The body is packed or encoded in a way that is not read."),
    ("bad_field", 422, "A field of the body is unknown, missing or of the wrong kind."),
    ("ticker_mismatch", 422, "The file's own ticker column names another ticker, or several."),
    ("no_ticker_column", 422, "No column says whose bars these are."),
    ("bad_config", 422, "A field of the training config is outside of what it can be here; `max` says the cap."),
    ("too_few_bars", 422, "There are fewer bars than this needs."),
    ("horizon_beyond_model", 422, "The model was trained for fewer sessions ahead."),
    ("nothing_before", 422, "No bar stands at or before the cutoff."),
    ("bad_level", 422, "A level or quantile is not a fraction between 0 and 1."),
    ("bad_bar", 422, "A bar of the window is no bar; `bar` is its position, `column` the field at fault."),
    ("unknown_model", 422, "The model is neither `champion`, a version, nor a baseline."),
    ("bad_policy", 422, "The retraining policy contradicts itself."),
    ("unknown_calendar", 422, "The calendar is no MIC, `24/7` or `weekdays`."),
    ("out_of_range", 422, "A number is outside of what this server grants; `min` and `max` say what it does."),
    ("rate_limited", 429, "Too many requests; `Retry-After` says when to come back."),
    ("refused_model", 500, "A model version failed its checks, or is in another release's layout, and is not served."),
    ("internal", 500, "A fault of ours; the request id finds it in the log."),
    ("overloaded", 503, "Too much at one time; `Retry-After` says when to come back."),
    ("timeout", 503, "The answer took longer than the server allows."),
    ("unavailable", 503, "The database or the artifacts do not answer just now."),
    ("stopping", 503, "The server is stopping or not ready."),
];

/// Codes of one kind of thing, with what is told of them.
pub(super) struct Section {
    /// Names the section in links.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// Where these codes appear.
    pub(super) about: &'static str,
    /// Each code, and what to do about it.
    pub(super) codes: &'static [(&'static str, &'static str)],
}

pub(super) const SECTIONS: &[Section] = &[
    Section {
        id: "files",
        title: "Files that are not read",
        about: "The body as a whole is refused: 413 over a cap, 415 packed or encoded in a way that is not read, 400 not \
            readable, 422 readable and of no use. Nothing of it is stored.",
        codes: FILES,
    },
    Section {
        id: "rows",
        title: "Rows that are refused",
        about: "`code` of an entry of `refusals`, with line, column and text. The other rows are stored, unless \
            `on_error=reject` was asked for: then it is the code of a 422.",
        codes: ROWS,
    },
    Section {
        id: "warnings",
        title: "Warnings about a file",
        about: "`code` of an entry of `warnings`: nothing is refused, but worth a look.",
        codes: FILE_WARNINGS,
    },
    Section {
        id: "jobs",
        title: "Jobs that failed",
        about: "`error.code` of a job in the state `failed`.",
        codes: JOBS,
    },
    Section {
        id: "forecast-warnings",
        title: "Warnings about a forecast",
        about: "`code` of an entry of a forecast's `warnings`.",
        codes: FORECAST_WARNINGS,
    },
];

const FILES: &[(&str, &str)] = &[
    ("body_too_large", "More bytes than `max_body_bytes`: pack it with gzip or zstd, or send it in parts."),
    ("inflated_too_large", "More bytes once unpacked than `max_inflated_bytes`: send it in parts."),
    (
        "inflate_ratio",
        "Unpacks to more than `max_inflate_ratio` times its size, as no price file does: send it unpacked.",
    ),
    ("too_many_rows", "More rows than `max_rows`: send it in parts, in any order."),
    ("too_many_columns", "More columns than `max_columns`: leave out those that are no prices."),
    (
        "too_many_json_values",
        "More JSON values at one time than `max_json_values` (an object counts as at least nine): send it in parts, or as a list of \
         bars.",
    ),
    ("too_many_tickers", "More tickers than `max_tickers`: send it in parts."),
    (
        "looks_like_gzip",
        "The body is gzip: send `Content-Encoding: gzip`, or no content type; if that is sent, it is packed twice.",
    ),
    (
        "looks_like_zstd",
        "The body is zstd: send `Content-Encoding: zstd`, or no content type; if that is sent, it is packed twice.",
    ),
    ("looks_like_html", "The body is a web page, often a login or an error page: download the file again."),
    ("not_csv", "The body is a PDF, an old .xls, an archive or a database: export the prices as CSV or .xlsx."),
    ("archive_files", "The zip holds several files, or the workbook several sheets of prices: send them one by one."),
    ("corrupt_body", "The packing is damaged, cut off or has a password: pack it again."),
    ("nul_byte", "NUL bytes stand in the text: save it as UTF-8."),
    ("invalid_utf8", "The characters are in an encoding that nothing names: pass `encoding=cp949` and the like."),
    ("unsupported_encoding", "The encoding named is not known here: save the file as UTF-8."),
    ("invalid_json", "Not JSON: the message names line and column."),
    ("invalid_parquet", "Not a whole Parquet file: write it again."),
    ("unsupported_type", "A column of prices has a type that is not read: write it as a double."),
    ("several_tables", "The JSON has several tables of bars and none says whose they are: send them one by one."),
    (
        "several_series",
        "Many rows stand at the time of others with other prices: several tickers, contracts or sessions of a day in one \
         file. Name the column that tells them apart, or send them one by one.",
    ),
    ("unreadable_rows", "The table cannot be parsed: check quotes and separators."),
    ("bad_option", "A query parameter has a value that cannot be; `field` names it."),
    ("empty_body", "Nothing was sent: send a header line and one line a bar."),
    ("no_rows", "A header without rows below it."),
    (
        "missing_header",
        "No line names the columns: pass `columns=date,open,high,low,close,volume` in the file's order.",
    ),
    (
        "missing_column",
        "Date, open, high, low or close is not there: pass `columns=close:Last` where it has another name.",
    ),
    ("duplicate_column", "Two columns could be the same thing: pass `columns` to choose."),
    ("mixed_price_basis", "The close is adjusted and the other prices are as traded: send all of one kind."),
    ("ambiguous_date", "03/04 is March or April and no row decides: pass `date_format`."),
    ("ambiguous_number", "1,234 is a thousand or one and a bit, and no row decides: pass `decimal`."),
    ("tick_data", "Ticks, or bars below a minute: send minutes or days."),
    ("interval_unsupported", "Bars of quarters or years: send minutes, days, weeks or months."),
    ("error_body", "The body is the error answer of its source: download it again."),
    ("no_usable_rows", "Every row was refused: `refusals` says why each."),
];

const ROWS: &[(&str, &str)] = &[
    ("row_width", "More or fewer fields than the header: look for a separator inside of a field, and quote it."),
    ("bad_quote", "A quote opens and does not close on its line."),
    ("missing_value", "A price is not there."),
    ("not_a_number", "A price or volume is no number."),
    ("not_finite", "A number is infinite, NaN or beyond what a float holds."),
    ("not_a_timestamp", "The date cannot be read, or does not exist; `date_format` names how dates are written."),
    ("timestamp_out_of_range", "The year is outside of 1800 to 2100."),
    ("mixed_timezone", "Some times name a zone and this one does not (or the other way round)."),
    ("non_positive_price", "A price is 0 or below."),
    ("price_out_of_range", "A price is too small or too large to be one."),
    ("high_below_low", "The high is below the low."),
    ("open_outside_range", "The open is not between low and high."),
    ("close_outside_range", "The close is not between low and high."),
    ("negative_volume", "The volume is below 0."),
    ("volume_out_of_range", "The volume is larger than any that was ever traded."),
    ("conflicting_duplicate", "A row of the same time has other values: the first is kept, both are shown."),
    (
        "other_series",
        "The row is of another series of the share (a block deal, a bond) than NSE's EQ, whose bars are kept.",
    ),
    ("bad_ticker", "The row's ticker has characters that no ticker has."),
];

const FILE_WARNINGS: &[(&str, &str)] = &[
    (
        "split_suspected",
        "Prices step by a ratio of small numbers: pass `adjust=split` where earlier prices are not adjusted.",
    ),
    (
        "unit_error_suspected",
        "Prices step by 100 or 1000: another unit (pence for pounds)? Correct those rows and send them again.",
    ),
    (
        "level_break",
        "What was sent does not continue what is stored: another currency, unit, company or scale of splits? Try \
         dry_run=true; to begin anew delete the ticker and send its whole history.",
    ),
    ("long_gap", "A long time without bars: is part of the file missing?"),
    (
        "off_calendar",
        "Bars stand on days that are no session of the ticker's market: another `calendar`, or rows of holidays?",
    ),
    (
        "running_period",
        "A bar of a week or month that is not over, or one that its source calls incomplete, was left out.",
    ),
    ("time_zone_told", "Times were taken as those of the zone that the answer tells beside its bars."),
    (
        "other_ticker_told",
        "A JSON answer names another ticker beside its bars: are they of the one that was asked for?",
    ),
    ("price_unit", "Prices are whole numbers of billionths (Databento's fixed point) and were divided."),
    ("no_volume", "No column is the volume: pass `columns=volume:NAME` if one is."),
    ("ticker_above", "A ticker stands on the first of its rows only: those below were taken for the same ticker's."),
    ("columns_left_out", "Columns of other tickers beside the file's own prices were left out."),
    ("missing_sessions", "Sessions of the ticker's market within the file have no bar: is part of it missing?"),
    (
        "calendar_detected",
        "No suffix names a market, but the dates are those of one: pass `calendar` where it is another.",
    ),
    (
        "calendar_assumed",
        "Nothing tells which market the dates are of: Monday to Friday are taken for sessions. Pass `calendar`.",
    ),
    (
        "volume_basis_suspected",
        "Volumes step by a split's ratio and prices do not: prices adjusted, volumes as traded?",
    ),
    ("ghost_rows", "Rows on days without a session repeat the day before; they were left out."),
    ("filler_rows", "Flat rows without volume on days without a session; they were left out."),
    ("corporate_actions", "Rows that tell a dividend or a split make no bar."),
    ("signed_prices", "Signs before prices tell the direction of the day and were taken off."),
    ("volume_unit", "The header states a unit of the volume (thousands): volumes were multiplied by it."),
    ("halted_sessions", "Rows with a close and zeros beside it: halted sessions make no bar."),
    ("zero_rows", "Rows of zeros make no bar."),
    ("empty_rows", "Rows without prices make no bar."),
    ("time_zone_assumed", "Times without a zone were taken as UTC: pass `timezone=Asia/Seoul` and the like."),
    ("comment_lines", "Lines that begin with # were left out."),
    ("repeated_header", "Header lines between rows were left out."),
    ("footer_lines", "Lines after the last row were left out."),
    (
        "training_not_queued",
        "The bars are stored, but the queue did not answer in time: it is asked again for an hour. After that \
         workers look for what is due of tickers that have a model; of others, send the bars again.",
    ),
    ("more_warnings", "There are more warnings than are told."),
];

const JOBS: &[(&str, &str)] = &[
    ("too_few_bars", "Fewer bars than this config needs: send more, or ask for a shorter lookback."),
    ("bad_config", "The config cannot be trained."),
    ("out_of_range", "A number of a backtest is outside of what these bars allow."),
    ("no_variation", "The prices do not move, so nothing can be measured."),
    ("method_failed", "A baseline could not be fitted on a fold; the message names it."),
    ("diverged", "The loss became NaN; the message names the step. Lower `learning_rate`."),
    ("bad_series", "The stored bars cannot be read as a series."),
    ("network_failed", "The network could not be built or run; the log of the worker has the reason."),
    ("deadline_exceeded", "Not done within `worker.deadline_ms`: ask for less, or raise it."),
    ("interrupted_too_often", "Worker after worker ended in the middle of it: look at their memory."),
    ("busy_ticker", "The bars change faster than they can be read: train when they rest."),
    ("market_failed", "What the other tickers of its exchange did could not be computed: the log says why."),
    ("raced", "The champion changes faster than it can be compared with: train again."),
    ("unknown_ticker", "The ticker was deleted meanwhile."),
    ("artifacts_failed", "The folder of models could not be written or read: look at its space and rights."),
    ("model_refused", "A model version failed its checks."),
    ("database_failed", "The database did not do what was asked; the log of the worker has the reason."),
    ("bad_payload", "The job was queued by a release that says it in another way: queue it again."),
    ("bad_report", "The report of a backtest could not be written; the log of the worker has the reason."),
    ("unknown_kind", "A job of a kind that this release does not know."),
    ("worker_failed", "The job's thread ended without an answer; the log of the worker has the reason."),
    ("panicked", "A fault of ours; the log of the worker has the reason."),
];

const FORECAST_WARNINGS: &[(&str, &str)] = &[
    ("model_aging", "The champion has not seen the newest bars; by its policy a training is due."),
    ("champion_refused", "The champion failed its checks and an older version answers: train, or promote another one."),
    ("baseline_used", "There are too few bars for a network yet; the best baseline answers."),
    ("stale_bars", "Sessions have passed since the newest bar (`forecast.stale_after_sessions`): send newer bars."),
    ("future_bars", "The newest bar is of a day that has not come: were day and month swapped, or is it a time zone?"),
    ("in_sample", "The model was trained on bars after `as_of`: this is no test of it."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Texts in those sources that look like codes and are something else: columns, options, formats, fields.
    const NO_CODES: &[&str] = &[
        "adj_close",
        "adj_high",
        "adj_low",
        "adj_open",
        "adj_volume",
        "backtest_id",
        "err_msg",
        "candlecast_job_attempts_total",
        "candlecast_job_duration_seconds",
        "date_format",
        "epoch_ms",
        "epoch_ns",
        "epoch_s",
        "epoch_us",
        "error_message",
        "eta_ms",
        "fold_bars",
        "handed_back",
        "model_version",
        "n_in_market",
        "price_basis",
        "shift_jis",
        "snake_case",
        "step_size",
        "validation_loss",
    ];

    #[test]
    fn every_code_that_the_sources_give_is_explained() {
        let explained: BTreeSet<&str> =
            SECTIONS.iter().flat_map(|section| section.codes).map(|(code, _)| *code).collect();
        let mut given = BTreeSet::new();
        for path in sources() {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            // Of two words, or given where a job's failure is made.
            let literals = code.split('"').skip(1).step_by(2).filter(|text| is_snake(text) && text.contains('_'));
            given.extend(literals.map(str::to_owned));
            for maker in ["lasting(", "passing("] {
                let made = code.split(maker).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                given.extend(made.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
            }
        }
        assert!(given.contains("high_below_low") && given.contains("split_suspected") && given.contains("panicked"));
        let missing: Vec<_> = given
            .iter()
            .filter(|text| !explained.contains(text.as_str()) && !NO_CODES.contains(&text.as_str()))
            .collect();
        assert!(missing.is_empty(), "codes without a word in src/http/codes.rs (or no codes: NO_CODES): {missing:?}");
        let gone: Vec<_> = explained.iter().filter(|code| code.contains('_') && !given.contains(**code)).collect();
        assert!(gone.is_empty(), "explained, but no source gives them: {gone:?}");
    }

    #[test]
    fn the_table_has_each_code_once_and_in_order_of_status() {
        assert!(CODES.windows(2).all(|pair| pair[0].1 <= pair[1].1), "rows are ordered by status");
        for (code, status, meaning) in CODES {
            assert_eq!(CODES.iter().filter(|(other, ..)| other == code).count(), 1, "{code}");
            assert!((400..600).contains(status) && meaning.ends_with('.'), "{code}");
        }
    }

    #[test]
    fn a_section_has_each_code_once_as_a_sentence() {
        for section in SECTIONS {
            for (code, meaning) in section.codes {
                assert_eq!(section.codes.iter().filter(|(other, _)| other == code).count(), 1, "{code}");
                assert!(is_snake(code) && (meaning.ends_with('.') || meaning.ends_with('?')), "{code}");
            }
        }
    }

    fn is_snake(text: &str) -> bool {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    }

    /// What gives codes: the reading of files, the rules of a bar, forecasts and jobs.
    fn sources() -> Vec<PathBuf> {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut found = vec![src.join("domain/bar.rs")];
        let mut folders = vec![src.join("ingest"), src.join("forecast"), src.join("jobs")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => found.push(path),
                }
            }
        }
        found
    }
}
