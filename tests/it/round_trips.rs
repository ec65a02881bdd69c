//! Any series, written in any dialect, reads back the same.

use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Interval, Series};
use candlecast::ingest::{BodyFormat, IngestLimits, ReadOptions, read, write};
use proptest::prelude::*;

use super::ingest::reading_with;

fn any_bars() -> impl Strategy<Value = Vec<(u8, [u32; 4], Option<u32>)>> {
    let prices = prop::array::uniform4(1_000_u32..9_999_999);
    prop::collection::vec((1_u8..5, prices, prop::option::of(0_u32..2_000_000_000)), 20..60)
}

pub(super) fn series(rows: &[(u8, [u32; 4], Option<u32>)], has_volume: bool) -> Series {
    let mut day = 19_000;
    let bars = rows.iter().map(|(step, prices, volume)| {
        day += i64::from(*step);
        let mut cents = *prices;
        cents.sort_unstable();
        let [low, open, close, high] = cents.map(|cents| f64::from(cents) / 100.0);
        let volume = has_volume.then(|| f64::from(volume.unwrap_or(0)));
        Bar::new(RawBar { at: BarTime::from_seconds(day * 86_400), open, high, low, close, volume }).expect("valid")
    });
    Series::new(Interval::Day, bars.collect()).expect("ascending")
}

/// One of the ways in which vendors write a file.
#[derive(Debug, Clone)]
struct Style {
    delimiter: &'static str,
    decimal_comma: bool,
    date: &'static str,
    descending: bool,
    grouped: bool,
    quoted: bool,
    header: [&'static str; 6],
    /// Text, and the encoding it is in.
    encoding: &'static encoding_rs::Encoding,
    line_end: &'static str,
    title: bool,
    footer: bool,
    currency: &'static str,
}

const ENGLISH: [&str; 6] = ["Date", "Close", "Open", "High", "Low", "Volume"];

fn any_style() -> impl Strategy<Value = Style> {
    let headers = prop::sample::select(vec![
        (ENGLISH, encoding_rs::UTF_8),
        (["<DATE>", "<CLOSE>", "<OPEN>", "<HIGH>", "<LOW>", "<VOL>"], encoding_rs::UTF_8),
        (["일자", "종가", "시가", "고가", "저가", "거래량"], encoding_rs::EUC_KR),
        (["날짜", "종가", "시가", "고가", "저가", "거래량"], encoding_rs::UTF_8),
        (["日付", "終値", "始値", "高値", "安値", "出来高"], encoding_rs::SHIFT_JIS),
        (["日期", "收盘价", "开盘价", "最高价", "最低价", "成交量"], encoding_rs::GBK),
        (["日期", "收盤價", "開盤價", "最高價", "最低價", "成交股數"], encoding_rs::BIG5),
        (["Datum", "Schluss", "Eröffnung", "Höchst", "Tief", "Stück"], encoding_rs::WINDOWS_1252),
        (["Data", "Kurs zamknięcia", "Otwarcie", "Najwyższy", "Najniższy", "Wolumen"], encoding_rs::WINDOWS_1250),
        (["Дата", "Цена", "Откр.", "Макс.", "Мин.", "Объём"], encoding_rs::WINDOWS_1251),
        (["Tarih", "Şimdi", "Açılış", "Yüksek", "Düşük", "Hac."], encoding_rs::WINDOWS_1254),
    ]);
    let dates = prop::sample::select(vec![
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y- %m- %d",
        "%Y.%m.%d",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%m/%d/%y",
        "%Y%m%d",
        "%b %d, %Y",
        "%d-%b-%y",
        "%A, %d %B %Y",
        "%Y-%m-%d 00:00:00+09:00",
        "%s",
    ]);
    let delimiters = prop::sample::select(vec![",", ";", "\t", "|"]);
    let line_ends = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    let currencies = prop::sample::select(vec!["", "$", "₩"]);
    let flags = prop::array::uniform6(any::<bool>());
    (headers, dates, delimiters, line_ends, currencies, flags).prop_map(
        |((header, encoding), date, delimiter, line_end, currency, flags)| {
            let [decimal_comma, descending, grouped, quoted, title, footer] = flags;
            // Only UTF-8 has every currency's sign.
            let currency = if encoding == encoding_rs::UTF_8 { currency } else { "" };
            let rest = Style {
                delimiter,
                decimal_comma,
                date,
                descending,
                grouped,
                quoted,
                header,
                encoding,
                line_end,
                title,
                footer,
                currency,
            };
            // Taiwan's years of two or three digits are its own.
            if header[5] == "成交股數" && date.contains("%y") { Style { date: "%Y/%m/%d", ..rest } } else { rest }
        },
    )
}

impl Style {
    fn number(&self, value: f64) -> String {
        let text = format!("{value:.2}");
        let (whole, cents) = text.split_once('.').expect("two decimals");
        let (decimal, group) = if self.decimal_comma { (",", ".") } else { (".", ",") };
        let head = whole.len() % 3;
        let mut parts: Vec<&str> = vec![&whole[..head]];
        parts.extend((head..whole.len()).step_by(3).map(|at| &whole[at..at + 3]));
        parts.retain(|part| !part.is_empty());
        let whole = if self.grouped { parts.join(group) } else { whole.to_owned() };
        format!("{}{whole}{decimal}{cents}", self.currency)
    }

    fn cell(&self, text: &str) -> String {
        if self.quoted || text.contains(self.delimiter) { format!("\"{text}\"") } else { text.to_owned() }
    }

    /// The file of a series.
    fn written(&self, series: &Series) -> Vec<u8> {
        let row = |bar: &Bar| {
            let [close, open, high, low] = [bar.close(), bar.open(), bar.high(), bar.low()].map(|p| self.number(p));
            let volume = bar.volume().map(|volume| volume.to_string()).unwrap_or_default();
            [bar.at().instant().format(self.date).to_string(), close, open, high, low, volume]
        };
        let join = |cells: &[String]| cells.iter().map(|cell| self.cell(cell)).collect::<Vec<_>>().join(self.delimiter);
        let mut rows: Vec<String> = series.bars().iter().map(|bar| join(&row(bar))).collect();
        if self.descending {
            rows.reverse();
        }
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.title.then(|| "ACME Corp. price history".to_owned()));
        lines.push(join(&self.header.map(str::to_owned)));
        lines.extend(rows);
        lines.extend(self.footer.then(|| "Source: the exchange".to_owned()));
        let text = lines.join(self.line_end) + self.line_end;
        let (bytes, _, is_lossy) = self.encoding.encode(&text);
        assert!(!is_lossy, "{text}");
        bytes.into_owned()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_series_in_any_dialect_reads_back_the_same(rows in any_bars(), has_volume: bool, style in any_style()) {
        let series = series(&rows, has_volume);
        let body = style.written(&series);
        let reading = reading_with(&body, &ReadOptions::default());
        prop_assert_eq!(&reading, &reading_with(&body, &ReadOptions::default()), "a second reading is the first");
        match reading {
            Ok(reading) => prop_assert_eq!(&reading.tickers[0].series, &series),
            // Sixty days can all have a day of at most 12: then it must say so.
            Err(error) => prop_assert_eq!(error.code(), "ambiguous_date", "{}", error),
        }
    }

    #[test]
    fn what_is_written_reads_back_to_the_digit(rows in any_bars(), has_volume: bool) {
        let series = series(&rows, has_volume);
        for format in [BodyFormat::Csv, BodyFormat::Json, BodyFormat::Parquet] {
            let bytes = write(&series, format).expect("written");
            let reading = read(&bytes, format, &ReadOptions::default(), &IngestLimits::default());
            prop_assert_eq!(&reading.expect("read").tickers[0].series, &series);
        }
    }

    #[test]
    fn no_body_panics_and_the_same_body_reads_the_same(body in prop::collection::vec(any::<u8>(), 0..400), text in "[-0-9.,;:/\"a-zA-Z가-힣 \n\t]{0,400}") {
        for bytes in [body.as_slice(), text.as_bytes(), &[b"date,open,high,low,close\n".as_slice(), text.as_bytes()].concat()] {
            for format in [BodyFormat::Csv, BodyFormat::Json] {
                let once = read(bytes, format, &ReadOptions::default(), &IngestLimits::default());
                let twice = read(bytes, format, &ReadOptions::default(), &IngestLimits::default());
                prop_assert_eq!(once, twice);
            }
        }
    }
}
