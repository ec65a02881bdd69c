//! The name of a series, as brokers write it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A ticker symbol: `^[A-Za-z0-9^][A-Za-z0-9.\-=^_]{0,31}$`, kept in upper case.
///
/// Leading zeros are part of the name (`005930.KS`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ticker(String);

/// Why a text is not a ticker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a ticker: use 1 to {} letters, digits or . - = ^ _, and begin with a letter, a digit or ^",
    Ticker::MAX_LEN
)]
pub struct TickerError {
    /// What was given, shortened to 64 characters.
    pub text: String,
}

impl Ticker {
    /// The longest ticker, in characters.
    pub const MAX_LEN: usize = 32;

    /// The ticker in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the last dot, as `KS` in `005930.KS`; exchanges are told apart by it.
    pub fn suffix(&self) -> Option<&str> {
        self.0.rsplit_once('.').map(|(_, suffix)| suffix)
    }

    /// Whether it is built like a code of the Korea Exchange: six characters, digits and lately letters among them
    /// (`005930`, `0001A0`, `00680K`). Codes of the mainland's exchanges are six digits too.
    pub fn is_krx_code(&self) -> bool {
        let is_code = self.0.len() == 6 && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_code
            && self.0.starts_with(|c: char| c.is_ascii_digit())
            && self.0.bytes().filter(u8::is_ascii_digit).count() >= 4
    }
}

impl FromStr for Ticker {
    type Err = TickerError;

    fn from_str(text: &str) -> Result<Self, TickerError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '^';
        let is_rest = |c: char| is_name(c) || matches!(c, '.' | '-' | '=' | '_');
        let fits = text.len() <= Self::MAX_LEN && text.starts_with(is_name) && text.chars().all(is_rest);
        match fits {
            true => Ok(Self(text.to_ascii_uppercase())),
            false => Err(TickerError { text: text.chars().take(64).collect() }),
        }
    }
}

impl TryFrom<String> for Ticker {
    type Error = TickerError;

    fn try_from(text: String) -> Result<Self, TickerError> {
        text.parse()
    }
}

impl From<Ticker> for String {
    fn from(ticker: Ticker) -> Self {
        ticker.0
    }
}

impl fmt::Display for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_market_are_kept_in_upper_case() {
        for (text, kept) in [
            ("aapl", "AAPL"),
            ("005930.KS", "005930.KS"),
            ("^gspc", "^GSPC"),
            ("EURUSD=X", "EURUSD=X"),
            ("BRK-B", "BRK-B"),
            ("0001a0.KQ", "0001A0.KQ"),
        ] {
            assert_eq!(text.parse::<Ticker>().map(String::from), Ok(kept.to_owned()));
        }
    }

    #[test]
    fn codes_of_the_korea_exchange_may_have_letters() {
        let is_code = |text: &str| text.parse::<Ticker>().is_ok_and(|ticker| ticker.is_krx_code());
        assert!(is_code("005930") && is_code("0001a0") && is_code("00680K"));
        assert!(!is_code("AAPL") && !is_code("7203") && !is_code("005930.KS") && !is_code("GOOGLE"));
    }

    #[test]
    fn anything_that_could_be_a_path_or_a_query_is_refused() {
        let too_long = "A".repeat(33);
        for text in ["", ".", "../etc", "A B", "A/B", "-A", "삼성전자", "A\n", "A%2e", &too_long] {
            assert!(text.parse::<Ticker>().is_err(), "{text:?}");
        }
        assert!("A".repeat(32).parse::<Ticker>().is_ok());
    }
}
