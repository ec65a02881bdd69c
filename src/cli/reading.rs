//! What a user says about a file: the options of reading as flags. And back: what is told of a file in the words of the
//! HTTP API, told in flags.

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
    #[arg(long, value_name = "COLUMNS", allow_hyphen_values = true)]
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

/// Query parameters of the HTTP API that are flags of commands: messages from below name them as parameters.
const PARAMETERS: [&str; 14] = [
    "adjust",
    "allow_stale",
    "calendar",
    "columns",
    "date_format",
    "decimal",
    "delimiter",
    "dry_run",
    "encoding",
    "model",
    "on_conflict",
    "price_basis",
    "resample",
    "timezone",
];

/// A message with each query parameter that it advises as the flag that it is here: `adjust=split` becomes
/// `--adjust=split`.
pub(super) fn in_flags(message: &str) -> String {
    let mut told = String::with_capacity(message.len());
    let mut is_advice = false;
    for word in message.split_inclusive(' ') {
        let bare = word.trim_start_matches(['(', '`']);
        let (name, rest) = bare.split_at(bare.find(|sign: char| !is_of_name(sign)).unwrap_or(bare.len()));
        let is_parameter = PARAMETERS.contains(&name) && (is_advice || rest.starts_with(['=', ':']));
        told.push_str(&word[..word.len() - bare.len()]);
        match is_parameter {
            true => {
                told.push_str(&flag(name));
                told.push_str(rest.strip_prefix("=true").unwrap_or(rest));
            }
            false => told.push_str(bare),
        }
        is_advice = bare.trim_end() == "pass";
    }
    told
}

/// The options of a query as flags that a shell takes.
pub(super) fn of_query(query: &str) -> String {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.map(|(name, value)| format!("{}={}", flag(&name), quoted(&value))).collect::<Vec<_>>().join(" ")
}

fn is_of_name(sign: char) -> bool {
    sign.is_ascii_lowercase() || sign == '_'
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

/// As a POSIX shell reads it back.
fn quoted(value: &str) -> String {
    let is_plain = |sign: char| sign.is_alphanumeric() || "%/:.,_+-".contains(sign);
    match !value.is_empty() && value.chars().all(is_plain) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn advice_is_told_as_flags_and_other_words_stay() {
        for (message, told) in [
            (
                "\"03/04/2024\" is 2024-04-03 (date_format=%d/%m/%Y) or 2024-03-04: no row decides it, pass date_format",
                "\"03/04/2024\" is 2024-04-03 (--date-format=%d/%m/%Y) or 2024-03-04: no row decides it, pass --date-format",
            ),
            ("pass decimal=. or decimal=,", "pass --decimal=. or --decimal=,"),
            (
                "send it with adjust=split as before, or with on_conflict=keep",
                "send it with --adjust=split as before, or with --on-conflict=keep",
            ),
            ("dry_run=true shows what would change", "--dry-run shows what would change"),
            (
                "X.csv: price_basis: the file has no adjusted close",
                "X.csv: --price-basis: the file has no adjusted close",
            ),
            ("the columns are decimal, the model is new and a=b", "the columns are decimal, the model is new and a=b"),
            ("pass it", "pass it"),
            ("", ""),
        ] {
            assert_eq!(in_flags(message), told);
        }
    }

    #[test]
    fn a_query_is_told_as_flags_for_a_shell() {
        let query = "date_format=%25d%2F%25m%2F%25Y&delimiter=%3B&columns=close%3ALast+price&encoding=utf-8";
        assert_eq!(
            of_query(query),
            "--date-format=%d/%m/%Y --delimiter=';' --columns='close:Last price' --encoding=utf-8"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn every_parameter_is_a_flag_of_some_command() {
        let command = crate::cli::Cli::command();
        let flags: Vec<String> = command
            .get_subcommands()
            .flat_map(|command| command.get_arguments())
            .filter_map(|argument| argument.get_long().map(|long| format!("--{long}")))
            .collect();
        for name in PARAMETERS {
            assert!(flags.contains(&flag(name)), "{name}");
        }
    }
}
