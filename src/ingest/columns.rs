//! Headers by name: what `시가`, `<OPEN>`, `1. open` and `AAPL.Open` have in common.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::domain::Ticker;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Role {
    Date,
    Time,
    Open,
    High,
    Low,
    Close,
    Volume,
    Ticker,
    AdjOpen,
    AdjHigh,
    AdjLow,
    AdjClose,
    AdjVolume,
}

impl Role {
    /// The name in answers and in `columns=`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Date => "date",
            Self::Time => "time",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Ticker => "ticker",
            Self::AdjOpen => "adj_open",
            Self::AdjHigh => "adj_high",
            Self::AdjLow => "adj_low",
            Self::AdjClose => "adj_close",
            Self::AdjVolume => "adj_volume",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|role| role.name() == name)
    }

    /// Whether several columns of a wide file can have it, one a ticker.
    pub(super) fn is_per_ticker(self) -> bool {
        !matches!(self, Self::Date | Self::Time | Self::Ticker)
    }
}

const ALL: &[Role] = &[
    Role::Date,
    Role::Time,
    Role::Open,
    Role::High,
    Role::Low,
    Role::Close,
    Role::Volume,
    Role::Ticker,
    Role::AdjOpen,
    Role::AdjHigh,
    Role::AdjLow,
    Role::AdjClose,
    Role::AdjVolume,
];

/// A header read by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub role: Role,
    /// Lower is surer; of two candidates for a role the surer one is taken, equally sure ones are refused.
    pub tier: u8,
    /// The ticker in a header such as `AAPL.Open`.
    pub ticker: Option<String>,
}

/// Names as [`key`] writes them, by role, surest first.
const NAMES: &[(Role, u8, &str)] = &[
    (Role::Date, 0, "datetime dateandtime datetimeutc opentime opentimestamp 일시 日時 candledatetimekst"),
    (
        Role::Date,
        1,
        "date tradedate tradingdate tradingday pricedate asofdate asof sessiondate session businessdate \
         quotedate dates day datadate caldt begin dateutc localdate marketdate 날짜 일자 거래일 거래일자 \
         기준일 기준일자 영업일 영업일자 일 stckbsopdate basdd trddd 日付 日付け データ日付 年月日 日 \
         取引日 交易日期 日期 交易日 交易时间 日期时间 data datum fecha dia dato datapregao datapreg \
         datadopregao fechahora dataora tarih дата tanggal ngay วันที่ dtyyyymmdd paivamaara \
         pvm seance jour handelstag sesion datanotowania snappedat tradedatekst timeperiodstart \
         periodstart",
    ),
    (
        Role::Date,
        2,
        "timestamp gmttime localtime timestampms timestamputc barstarttime starttime timestart startdate t",
    ),
    (Role::Date, 3, "unix unixtime unixtimestamp epoch epochtime unixtimestampms"),
    (
        Role::Time,
        0,
        "time 시간 시각 체결시간 時刻 時間 时间 hora uhrzeit zeit heure ora godzina время tradetime \
         timeofday saat",
    ),
    (
        Role::Open,
        0,
        "open opening openprice openingprice priceopen dayopen opn op sessionopen stckoprc tddopnprc 시가 \
         시작가 시초가 始値 初値 开盘 开盘价 今开 今开盘 開盤 開盤價 開市 開市價 今開盤價 abertura \
         apertura eroffnung eroffnungskurs eroeffnung erster ouverture ouv otwarcie acilis открытие \
         открцена preabe precoabertura ouvert opningskurs apning abierto startkurs giamocua mocua \
         pembukaan เปิด ราคาเปิด aperturaprezzo avaus oppning precioapertura precodeabertura",
    ),
    (Role::Open, 1, "o first firstprice"),
    (
        Role::High,
        0,
        "high highprice pricehigh dayhigh hi hight highest highestprice sessionhigh max maximum highs \
         stckhgpr tddhgprc 고가 최고가 高値 最高 最高价 最高價 高値円 maxima maximo massimo hoch hochst \
         hoechst tageshoch hochstkurs plushaut haut najwyzszy yuksek najwyzsza максимум макс maxprice \
         premax precomaximo hog hogst hoy hogsta maks maksimum hoogste hoog alto caonhat giacaonhat \
         tertinggi สูงสุด ราคาสูงสุด ylin precomax preciomaximo enyuksek maxdia",
    ),
    (Role::High, 1, "h"),
    (
        Role::Low,
        0,
        "low lowprice pricelow daylow lo lowest lowestprice sessionlow min minimum lows stcklwpr tddlwprc \
         저가 최저가 安値 最低 最低价 最低價 minima minimo tief tiefst tagestief tiefstkurs plusbas bas \
         najnizszy dusuk najnizsza минимум мин minprice premin precominimo lag lagst lav lagsta laagste \
         laag bajo thapnhat giathapnhat terendah ต่ำสุด ราคาต่ำสุด alin precomin preciominimo endusuk \
         mindia",
    ),
    (Role::Low, 1, "l"),
    (
        Role::Close,
        0,
        "close closing closeprice closingprice priceclose dayclose closelast lastclose sessionclose cls \
         settle settlement settleprice stckclpr tddclsprc 종가 終値 收盘 收盘价 收盤 收盤價 收市 收市價 \
         fechamento cierre chiusura schluss schlusskurs cloture clot zamkniecie kapanis \
         закрытие закрцена slutkurs slut sluttkurs slutning slot slotkoers dongcua giadongcua penutupan \
         ปิด ราคาปิด paatos precoultimo preult precofechamento preciocierre precodefechamento endkurs",
    ),
    (
        Role::Close,
        1,
        "price last lastprice lasttradedprice ltp tradeprice 현재가 체결가 가격 지수 現在値 最新价 最新 \
         成交价 ultimo ultima letzter zuletzt kurs dernier cours prix ostatni simdi цена preco precio \
         prezzo senaste sista siste c koers lancuoi terakhir ล่าสุด valor cotacao kapanisfiyati",
    ),
    (
        Role::Volume,
        0,
        "volume vol volumes totalvolume tradevolume tradedvolume tradingvolume totaltradedvolume \
         volumetraded sharevolume shares numberofshares sharestraded noofshares totaltradequantity \
         totaltradedquantity tottrdqty ttltrdqnty ttltradgvol quantity qty tradedquantity dayvolume \
         volumeshares acmlvol acctrdvol 거래량 누적거래량 出来高 売買高 出來高 成交量 总手 成交股數 \
         成交数量 成交股数 成交數量 volumen volum volym wolumen hacim объем объём объемторгов umsatz stuck \
         stueck stuckzahl gehandeltestuck quantidade qtdnegociada quatot quantidadenegociada titres aantal \
         khoiluong klgd giaodichkhoplenh volumeaandelen ปริมาณ titoli handelsvolumen vaihto volumn \
         volumeunits",
    ),
    (
        Role::Volume,
        1,
        "v tickvolume tickvol volumefrom basevolume volumebase realvolume volumebtc candleacctradevolume",
    ),
    (
        Role::Ticker,
        0,
        "ticker symbol tickersymbol stocksymbol stock tic code stockcode instrument ric tsymbol actsymbol \
         secid tradingsymbol scrip localcode codneg pair 종목코드 단축코드 종목 코드 티커 證券代號 \
         股票代號 股票代码 证券代码 代码 tscode 銘柄コード コード 証券コード symbole simbolo codigo tckr \
         tckrsymb isusrtcd srtncd",
    ),
    (Role::Ticker, 1, "name 종목명 itmsnm 銘柄名 銘柄 名称 股票名称 stockname company security securityname isin"),
    (Role::AdjOpen, 0, "adjopen adjustedopen openadj openadjusted 수정시가"),
    (Role::AdjHigh, 0, "adjhigh adjustedhigh highadj highadjusted 수정고가"),
    (Role::AdjLow, 0, "adjlow adjustedlow lowadj lowadjusted 수정저가"),
    (
        Role::AdjClose,
        0,
        "adjclose adjustedclose closeadj closeadjusted adjcloseprice adjustedcloseprice \
         adjustedclosingprice adjclosingprice adjprice 수정종가 수정주가 調整後終値 調整済終値 修正終値 \
         复权收盘价 后复权价 調整後收盤價 fechamentoajustado cierreajustado chiusuraaggiustata \
         adjustmentclose adjc",
    ),
    (Role::AdjVolume, 0, "adjvolume adjustedvolume volumeadj adjustmentvolume"),
];

/// Names that look like a role's and are none; they must not be taken apart either.
const OTHERS: &str = "prevclose previousclose prevcloseprice prevclsprice prvsclsgpric preclose yclose openinterest \
    openint openinterestqty oi closetime closetimestamp endtime highlimit lowlimit quotevolume \
    quoteassetvolume volumequote volumeto takerbuyvolume takerbuyquotevolume takerbuybasevolume \
    takerbuybaseassetvolume takerbuyquoteassetvolume dollarvolume volumeusd valuetraded 52wh 52wl \
    52weekhigh 52weeklow high52 low52 yearhigh yearlow w52h w52l highlow openclose closebid closeask \
    전일종가 前日終値 前收盘 前收盘价 昨收 昨收盘 시가총액 거래대금 대비 등락률 상장주식수 series \
    tradecount numtrades";

/// A header as compared: lower case, Latin letters without accents, no signs, no spaces, nothing in brackets,
/// no leading `1.`.
pub(super) fn key(header: &str) -> String {
    let header = header.trim().trim_matches(['\u{feff}', '"', '\'', '<', '>', '*', ' ', '\t']);
    // `1. open`, `5) volume`; not `52wh`.
    let digits = header.bytes().take_while(u8::is_ascii_digit).count();
    let header = match header[digits..].strip_prefix(['.', ')']) {
        Some(rest) if digits > 0 => rest,
        _ => header,
    };
    let mut depth = 0_u32;
    let mut out = String::with_capacity(header.len());
    for c in header.chars() {
        match c {
            '(' | '[' | '（' => depth += 1,
            ')' | ']' | '）' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            c => out.extend(folded(c).chars().filter(|c| c.is_alphanumeric() || is_mark(*c))),
        }
    }
    out
}

/// Thai vowels are marks, not letters; without them words would run together.
fn is_mark(c: char) -> bool {
    ('\u{e31}'..='\u{e4e}').contains(&c)
}

fn folded(c: char) -> String {
    let plain = match c {
        '\u{ff01}'..='\u{ff5e}' => {
            return char::from_u32(c as u32 - 0xfee0).map(|c| c.to_lowercase().collect()).unwrap_or_default();
        }
        'á' | 'à' | 'â' | 'ã' | 'ä' | 'å' | 'Á' | 'À' | 'Â' | 'Ã' | 'Ä' | 'Å' | 'ą' | 'Ą' | 'ạ' | 'ấ' => {
            'a'
        }
        'é' | 'è' | 'ê' | 'ë' | 'É' | 'È' | 'Ê' | 'Ë' | 'ę' | 'Ę' => 'e',
        'í' | 'ì' | 'î' | 'ï' | 'Í' | 'Ì' | 'İ' | 'ı' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' | 'Ó' | 'Ò' | 'Ô' | 'Õ' | 'Ö' | 'ø' | 'Ø' | 'ở' => 'o',
        'ú' | 'ù' | 'û' | 'ü' | 'Ú' | 'Ù' | 'Û' | 'Ü' => 'u',
        'ç' | 'Ç' | 'ć' | 'Ć' => 'c',
        'ñ' | 'Ñ' | 'ń' => 'n',
        'ł' | 'Ł' => 'l',
        'ś' | 'ş' | 'Ş' | 'Ś' => 's',
        'ż' | 'ź' | 'Ż' | 'Ź' => 'z',
        'ğ' | 'Ğ' => 'g',
        other => return other.to_lowercase().collect(),
    };
    plain.to_string()
}

/// What a header names, if anything that is read.
pub(super) fn named(header: &str) -> Option<Named> {
    let whole = key(header);
    match KNOWN.get(whole.as_str()) {
        Some(known) => known.map(|(role, tier)| Named { role, tier, ticker: None }),
        None => of_ticker(header),
    }
}

/// Every known name; `None` for those that are no role's.
static KNOWN: LazyLock<HashMap<&str, Option<(Role, u8)>>> = LazyLock::new(|| {
    let roles =
        NAMES.iter().flat_map(|(role, tier, names)| names.split_whitespace().map(|name| (name, Some((*role, *tier)))));
    OTHERS.split_whitespace().map(|name| (name, None)).chain(roles).collect()
});

fn by_key(key: &str) -> Option<(Role, u8)> {
    KNOWN.get(key).copied().flatten()
}

/// `AAPL.Open`, `Open_AAPL`, `('Close', '005930.KS')`: a ticker in capitals beside a known name.
fn of_ticker(header: &str) -> Option<Named> {
    let bare = header.trim().trim_matches(['(', ')', '<', '>', '"', '\'']);
    let splits = bare.char_indices().filter(|(_, c)| matches!(c, '.' | '_' | ' ' | ':' | '|' | ',' | '-' | '/'));
    for (at, sign) in splits {
        let (left, right) = (&bare[..at], &bare[at + sign.len_utf8()..]);
        for (name, rest) in [(left, right), (right, left)] {
            let rest = rest.trim_matches([' ', '\'', '"']);
            let names_something = rest.len() >= 4 || rest.chars().any(|c| c.is_ascii_uppercase());
            let is_ticker = names_something && !rest.chars().any(char::is_lowercase) && rest.parse::<Ticker>().is_ok();
            match by_key(&key(name)) {
                Some((role, tier)) if is_ticker && role.is_per_ticker() && key(name).len() > 1 => {
                    return Some(Named { role, tier: tier + 4, ticker: Some(rest.to_owned()) });
                }
                _ => {}
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(header: &str) -> Option<&'static str> {
        named(header).map(|named| named.role.name())
    }

    #[test]
    fn names_of_many_vendors_mean_the_same() {
        for (header, expected) in [
            ("Open", "open"),
            (" <OPEN> ", "open"),
            ("1. open", "open"),
            ("시가", "open"),
            ("시가(원)", "open"),
            ("始値", "open"),
            ("Eröffnung", "open"),
            ("Close/Last", "close"),
            ("종가", "close"),
            ("Último", "close"),
            ("Adj. Close", "adj_close"),
            ("Adj Close**", "adj_close"),
            ("調整後終値*", "adj_close"),
            ("Vol.", "volume"),
            ("TOTAL_TRADED_QUANTITY", "volume"),
            ("売買高（株）", "volume"),
            ("TRADEDATE", "date"),
            ("Ｄａｔｅ", "date"),
            ("종목코드", "ticker"),
            ("Hight", "high"),
        ] {
            assert_eq!(role(header), Some(expected), "{header}");
        }
        for header in ["prev_close", "Open Interest", "OPEN_INT", "52wh", "거래대금", "Change %", "", "Plot", "open 5"]
        {
            assert_eq!(role(header), None, "{header}");
        }
    }

    #[test]
    fn a_ticker_may_stand_in_the_header() {
        for (header, expected, ticker) in [
            ("AAPL.Open", "open", "AAPL"),
            ("Close_MSFT", "close", "MSFT"),
            ("005930.KS High", "high", "005930.KS"),
            ("('Adj Close', 'BRK-B')", "adj_close", "BRK-B"),
        ] {
            let found = named(header).expect(header);
            assert_eq!((found.role.name(), found.ticker.as_deref()), (expected, Some(ticker)), "{header}");
        }
    }

    #[test]
    fn no_name_stands_twice() {
        let mut seen = std::collections::HashMap::new();
        for (role, _, names) in NAMES {
            for name in names.split_whitespace() {
                let before = seen.insert(name, Some(*role));
                assert!(before.is_none(), "{name} is both {before:?} and {role:?}");
                assert_eq!(key(name), name, "a name is written as it is compared");
            }
        }
        for name in OTHERS.split_whitespace() {
            assert!(seen.insert(name, None).is_none(), "{name} stands twice");
        }
    }
}
