//! Whose bars a body holds: the ticker asked for, and the names that vendors give it.

use super::ingest::IngestError;
use crate::domain::Ticker;
use crate::ingest::{TickerReading, Warning};

/// Gives every part its ticker: the one asked for, else the body's own.
pub(super) fn name<'a>(
    parts: &'a [TickerReading],
    asked: Option<&Ticker>,
) -> Result<Vec<(Ticker, &'a TickerReading)>, IngestError> {
    match asked {
        None => parts
            .iter()
            .map(|part| {
                let ticker = part.name().ok_or(IngestError::NoTickerColumn)?;
                Ok((ticker.clone(), part))
            })
            .collect(),
        Some(asked) => {
            let stranger = parts.iter().filter_map(|part| part.ticker.as_ref()).find(|found| !is_same(asked, found));
            match (stranger, parts) {
                (None, [part]) => Ok(vec![(asked.clone(), part)]),
                (Some(found), [_]) => {
                    Err(IngestError::TickerMismatch { asked: asked.clone(), found: found.to_string() })
                }
                (_, parts) => {
                    let found = format!("{} tickers", parts.len());
                    Err(IngestError::TickerMismatch { asked: asked.clone(), found })
                }
            }
        }
    }
}

/// A warning where an answer says beside its bars that they are of another ticker than the one asked for: vendors have
/// names of their own (`BTCUSDT`), so it refuses nothing.
pub(super) fn other_told(ticker: &Ticker, part: &TickerReading) -> Option<Warning> {
    let told = part.told.as_ref().filter(|told| !is_same(ticker, told))?;
    Some(Warning {
        code: "other_ticker_told",
        session: None,
        message: format!(
            "the answer says that its bars are of {told}: they were taken for those of {ticker}, as asked"
        ),
        ticker: Some(ticker.clone()),
    })
}

/// Vendors write one ticker with and without its market (`AAPL`, `AAPL.US`; `005930`, `005930.KS`; `SH.600000`,
/// `600000.SS`), Korean ones with an A before the code, and spreadsheets take the zeros before a number away.
fn is_same(asked: &Ticker, found: &Ticker) -> bool {
    let ((asked, asked_market), (found, found_market)) = (code_and_market(asked), code_and_market(found));
    asked == found && (asked_market.is_empty() || found_market.is_empty() || asked_market == found_market)
}

/// `600000` and `SS` of `SH.600000`.
fn code_and_market(ticker: &Ticker) -> (&str, &str) {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (first, last) = ticker.as_str().split_once('.').unwrap_or((ticker.as_str(), ""));
    let (code, market) = if is_digits(last) && !is_digits(first) { (last, first) } else { (first, last) };
    let code = code.strip_prefix('A').filter(|rest| rest.len() == 6 && is_digits(rest)).unwrap_or(code);
    let code = if is_digits(code) { code.trim_start_matches('0') } else { code };
    (code, if market == "SH" { "SS" } else { market })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendors_may_leave_the_market_out_but_not_name_another_company() {
        let same = |a: &str, b: &str| is_same(&a.parse().expect("a ticker"), &b.parse().expect("a ticker"));
        assert!(same("AAPL", "AAPL") && same("AAPL", "AAPL.US") && same("005930.KS", "005930"));
        assert!(same("600000.SS", "SH.600000") && same("005930.KS", "A005930") && same("005930", "5930"));
        assert!(!same("600000.SS", "SH.600001") && !same("000001.SZ", "SH.000001") && !same("005930", "59300"));
        assert!(!same("AAPL", "MSFT") && !same("005930.KS", "005930.KQ") && !same("BRK-A", "BRK-B"));
    }
}
