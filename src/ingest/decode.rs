//! What the bytes are, and their text.

use std::borrow::Cow;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_7, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1250,
    WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
};

use super::{ReadError, columns};

/// Text and the name of the encoding it came in.
#[derive(Debug)]
pub(super) struct Decoded<'a> {
    pub text: Cow<'a, str>,
    pub encoding: &'static str,
}

/// How many bytes of a file are looked at for a header.
const HEAD: usize = 16 << 10;
/// Legacy encodings in the order in which they are tried; the header decides between them.
const LEGACY: [(&Encoding, &str); 12] = [
    (EUC_KR, "cp949"),
    (SHIFT_JIS, "shift_jis"),
    (GBK, "gbk"),
    (BIG5, "big5"),
    (EUC_JP, "euc-jp"),
    (WINDOWS_1252, "windows-1252"),
    (WINDOWS_1250, "windows-1250"),
    (WINDOWS_1251, "windows-1251"),
    (WINDOWS_1254, "windows-1254"),
    (WINDOWS_1253, "windows-1253"),
    (ISO_8859_7, "iso-8859-7"),
    (WINDOWS_874, "windows-874"),
];

/// An encoding, its name, and the letters that files in it have.
type Script = (&'static Encoding, &'static str, fn(char) -> bool);

/// The text of a body.
///
/// # Errors
/// By the name of what it is, where it is no text; `invalid_utf8` where no encoding explains the bytes;
/// `nul_byte`.
pub(super) fn decode<'a>(bytes: &'a [u8], wanted: Option<&str>) -> Result<Decoded<'a>, ReadError> {
    refuse_by_first_bytes(bytes)?;
    let decoded = match wanted {
        Some(label) => pinned(bytes, label)?,
        None => detected(bytes)?,
    };
    if decoded.text.contains('\0') {
        let message = "the text has NUL bytes: if it is UTF-16, save it as UTF-8 or with a byte order mark; \
                       a file cut short by a crash must be exported again";
        return Err(ReadError::unreadable("nul_byte", message));
    }
    if decoded.text.trim().is_empty() {
        return Err(ReadError::unusable("empty_body", "the body is empty: send a header line and one line a bar"));
    }
    refuse_by_first_words(&decoded.text)?;
    Ok(Decoded { text: with_latin_digits(decoded.text), ..decoded })
}

/// Digits of Arabic and Persian and their signs between them as the Latin ones.
fn with_latin_digits(text: Cow<'_, str>) -> Cow<'_, str> {
    let latin = |c: char| match c {
        '٠'..='٩' => char::from_digit(c as u32 - '٠' as u32, 10),
        '۰'..='۹' => char::from_digit(c as u32 - '۰' as u32, 10),
        '٫' => Some('.'),
        '٬' => Some('\''),
        _ => None,
    };
    if text.is_ascii() || !text.contains(|c| latin(c).is_some()) {
        return text;
    }
    Cow::Owned(text.chars().map(|c| latin(c).unwrap_or(c)).collect())
}

/// The text of JSON, which is UTF-8; tools that write UTF-16 mark it.
///
/// # Errors
/// By the name of what it is, where it is no text; `invalid_utf8`.
pub(super) fn json(bytes: &[u8]) -> Result<Decoded<'_>, ReadError> {
    refuse_by_first_bytes(bytes)?;
    if let Some(decoded) = marked(bytes) {
        return decoded;
    }
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
        .map_err(|error| invalid(&format!("the JSON is not UTF-8: {error}")))?;
    Ok(Decoded { text: Cow::Borrowed(text), encoding: "utf-8" })
}

const PICKLE: &str = "the body is a Python pickle: write it as Parquet or CSV";
const PICTURE: &str = "the body is a picture: download the prices behind it as CSV";

/// # Errors
/// By the name of a kind of file that is no text.
pub(super) fn refuse_by_first_bytes(bytes: &[u8]) -> Result<(), ReadError> {
    let named: &[(&[u8], &str, &str)] = &[
        (
            b"\x1f\x8b",
            "looks_like_gzip",
            "the body is gzip: send Content-Encoding: gzip, or no content type; if that is sent, it is packed twice",
        ),
        (
            b"\x28\xb5\x2f\xfd",
            "looks_like_zstd",
            "the body is zstd: send Content-Encoding: zstd, or no content type; if that is sent, it is packed twice",
        ),
        (
            b"PAR1",
            "not_csv",
            "the body is Parquet: send it as application/vnd.apache.parquet, or without a content type",
        ),
        (
            b"PK\x03\x04",
            "not_csv",
            "the body is a zip or a workbook: send it as application/zip, or without a content type",
        ),
        (b"%PDF", "not_csv", "the body is a PDF document: export the prices as CSV"),
        (
            b"\xd0\xcf\x11\xe0",
            "not_csv",
            "the body is an old Excel workbook (.xls) or has a password: save it as .xlsx or CSV",
        ),
        (b"BZh", "not_csv", "the body is bzip2: unpack it, or send gzip"),
        (b"\xfd7zXZ", "not_csv", "the body is xz: unpack it, or send gzip"),
        (b"Rar!", "not_csv", "the body is a RAR archive: unpack it, or send a zip"),
        (b"7z\xbc\xaf", "not_csv", "the body is a 7z archive: unpack it, or send a zip"),
        (b"ARROW1", "not_csv", "the body is Arrow or Feather: write it as Parquet"),
        (b"\x89HDF", "not_csv", "the body is HDF5: write it as Parquet or CSV"),
        (b"\x80\x04\x95", "not_csv", PICKLE),
        (b"\x80\x05\x95", "not_csv", PICKLE),
        (b"\x80\x03}", "not_csv", PICKLE),
        (b"\x80\x03c", "not_csv", PICKLE),
        (b"\x89PNG", "not_csv", PICTURE),
        (b"\xff\xd8\xff", "not_csv", PICTURE),
        (b"GIF8", "not_csv", PICTURE),
        (b"\x93NUMPY", "not_csv", "the body is a NumPy array: write it as CSV with a header line"),
        (b"SQLite format", "not_csv", "the body is an SQLite database: export the prices as CSV"),
    ];
    match named.iter().find(|(magic, _, _)| bytes.starts_with(magic)) {
        Some((_, code, message)) => Err(ReadError::unreadable(code, *message)),
        None => Ok(()),
    }
}

/// Pages and error answers that were saved under a price file's name.
fn refuse_by_first_words(text: &str) -> Result<(), ReadError> {
    let start = text.trim_start();
    let lower: String = start.chars().take(200).collect::<String>().to_ascii_lowercase();
    if ["<!doctype", "<html", "<?xml", "<head", "<body", "<table", "<div", "<script", "<!--"]
        .iter()
        .any(|tag| lower.starts_with(tag))
    {
        if lower.starts_with("<?xml") && start.contains("<Workbook") {
            let message = "the body is an Excel workbook of 2003 (XML): open it and save it as .xlsx or CSV";
            return Err(ReadError::unusable("looks_like_html", message));
        }
        if columns_in_table(start) >= 3 {
            let message = "the body is a web page's table (some sources name it .xls): open it in a spreadsheet and save \
                           it as .xlsx or CSV";
            return Err(ReadError::unusable("looks_like_html", message));
        }
        let title = title(start).map(|title| format!(" titled {title:?}")).unwrap_or_default();
        return Err(ReadError::unusable(
            "looks_like_html",
            format!(
                "the body is a web page{title}, not a price file: download the CSV again, signed in if it needs that"
            ),
        ));
    }
    Ok(())
}

/// How many columns of bars the cells of a page name.
fn columns_in_table(page: &str) -> usize {
    let head: String = page.chars().take(HEAD).collect();
    if !head.to_ascii_lowercase().contains("<table") {
        return 0;
    }
    head.split(['<', '>']).filter(|text| text.len() < 40 && columns::named(text).is_some()).count()
}

fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower.get(from..)?.find("</title>")?;
    Some(page.get(from..to)?.trim().chars().take(100).collect())
}

fn pinned<'a>(bytes: &'a [u8], label: &str) -> Result<Decoded<'a>, ReadError> {
    let label_key = label.trim().to_ascii_lowercase();
    let encoding = match label_key.as_str() {
        "cp949" | "ms949" | "uhc" => EUC_KR,
        "cp932" => SHIFT_JIS,
        "cp936" => GBK,
        "cp950" => BIG5,
        "cp1252" | "ansi" => WINDOWS_1252,
        "utf-8-sig" => UTF_8,
        other => Encoding::for_label(other.as_bytes()).ok_or_else(|| ReadError::BadOption {
            option: "encoding",
            message: format!(
                "{label:?} is none of utf-8, utf-16le, utf-16be, cp949, shift_jis, gbk, big5, windows-1252, windows-1251 …"
            ),
        })?,
    };
    let name = LEGACY.iter().find(|(known, _)| *known == encoding).map(|(_, name)| *name);
    let name = name.unwrap_or(match encoding {
        e if e == UTF_8 => "utf-8",
        e if e == UTF_16LE => "utf-16le",
        e if e == UTF_16BE => "utf-16be",
        e => e.name(),
    });
    let (text, _, is_broken) = encoding.decode(bytes);
    match is_broken {
        true => Err(invalid(&format!("the bytes are not {name}"))),
        false => Ok(Decoded { text, encoding: name }),
    }
}

/// Text with a byte order mark of UTF-16.
fn marked(bytes: &[u8]) -> Option<Result<Decoded<'_>, ReadError>> {
    for (mark, encoding, name) in [(&b"\xff\xfe"[..], UTF_16LE, "utf-16le"), (b"\xfe\xff", UTF_16BE, "utf-16be")] {
        if let Some(rest) = bytes.strip_prefix(mark) {
            let text = strictly(encoding, rest);
            let broken = || invalid(&format!("the bytes are not {name}, although their first two say so"));
            return Some(text.map(|text| Decoded { text, encoding: name }).ok_or_else(broken));
        }
    }
    None
}

fn detected(bytes: &[u8]) -> Result<Decoded<'_>, ReadError> {
    if let Some(decoded) = marked(bytes) {
        return decoded;
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Decoded { text: Cow::Borrowed(text), encoding: "utf-8" }),
        // No encoding below has NUL bytes in its text.
        Err(_) if is_binary(bytes) => {
            Err(invalid("the body is no text but another program's file: export the prices as CSV"))
        }
        Err(error) => legacy(bytes).ok_or_else(|| {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
            invalid(&format!(
                "line {line} is not UTF-8, and no header tells of another encoding: save it as UTF-8 or pass encoding="
            ))
        }),
    }
}

/// Whether it is full of NULs before its end; a file cut short by a crash has them behind its text.
fn is_binary(bytes: &[u8]) -> bool {
    let n_trailing = bytes.iter().rev().take_while(|byte| **byte == 0).count();
    let n_within = memchr::memchr_iter(0, &bytes[..bytes.len() - n_trailing]).count();
    n_within > 2 && n_within * 1000 > bytes.len()
}

/// The legacy encoding in which the whole body is valid and the header makes sense. Where the header is ASCII, one
/// whose letters make words of one script: such files have names of companies beside English headers.
fn legacy(bytes: &[u8]) -> Option<Decoded<'_>> {
    let mut best: Option<(usize, &Encoding, &'static str)> = None;
    for (encoding, name) in LEGACY {
        let score = header_score(bytes, encoding);
        if score > best.map_or(0, |(most, _, _)| most) && strictly(encoding, bytes).is_some() {
            best = Some((score, encoding, name));
        }
    }
    if let Some((_, encoding, name)) = best {
        return strictly(encoding, bytes).map(|text| Decoded { text, encoding: name });
    }
    // Of KS X 1001: one accented Latin letter before an ASCII one would be a rare syllable.
    let is_ksx = bytes.iter().all(|byte| byte.is_ascii() || *byte >= 0xa1);
    let scripts: [Script; 3] = [
        (EUC_KR, "cp949", |c| ('가'..='힣').contains(&c)),
        (GBK, "gbk", |c| ('\u{4e00}'..='\u{9fff}').contains(&c)),
        (WINDOWS_1251, "windows-1251", |c| ('А'..='я').contains(&c) || matches!(c, 'ё' | 'Ё')),
    ];
    scripts.into_iter().filter(|(encoding, _, _)| *encoding != EUC_KR || is_ksx).find_map(
        |(encoding, name, is_letter)| {
            let text = strictly(encoding, bytes)?;
            is_of_words(&text, is_letter).then_some(Decoded { text, encoding: name })
        },
    )
}

/// Whether all that is not ASCII are letters of one script, and words of them: at least two letters side by side.
fn is_of_words(text: &str, is_letter: fn(char) -> bool) -> bool {
    let foreign = text.split(|c: char| c.is_ascii()).filter(|word| !word.is_empty());
    let mut n_words = 0;
    for word in foreign {
        if !word.chars().all(is_letter) {
            return false;
        }
        n_words += usize::from(word.chars().count() >= 2);
    }
    n_words > 0
}

fn strictly<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Option<Cow<'a, str>> {
    encoding.decode_without_bom_handling_and_without_replacement(bytes)
}

/// How many columns are known by a name with letters beyond ASCII, in the best line of the head.
fn header_score(bytes: &[u8], encoding: &'static Encoding) -> usize {
    let head = &bytes[..bytes.len().min(HEAD)];
    let (text, _) = encoding.decode_without_bom_handling(head);
    let known = |line: &str| {
        line.split([',', ';', '\t', '|']).filter(|cell| !cell.is_ascii() && columns::named(cell).is_some()).count()
    };
    text.lines().take(60).map(known).max().unwrap_or(0)
}

fn invalid(message: &str) -> ReadError {
    ReadError::unreadable("invalid_utf8", message)
}
