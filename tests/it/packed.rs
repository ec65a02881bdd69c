//! Bodies that unpack or grow when they are read, and those of which no header says what they are.

use candlecast::ingest::{BodyFormat, IngestLimits, ReadOptions, read, write};

use crate::ingest::{ONE, told};
use crate::round_trips::series;

#[test]
fn json_values_are_capped_where_they_are_in_memory_at_one_time() {
    let code = |body: &str, max_json_values: usize, format: BodyFormat| {
        let limits = IngestLimits { max_json_values, ..IngestLimits::default() };
        read(body.as_bytes(), format, &ReadOptions::default(), &limits).map_or_else(|error| error.code(), |_| "ok")
    };
    let bar = r#"{"date":"2024-01-02","open":1,"high":1,"low":1,"close":1}"#;
    let columns = r#"{"date":["2024-01-02"],"open":[1],"high":[1],"low":[1],"close":[1]}"#;
    for (body, n_values) in [
        (format!("[{bar}]"), 17),
        (format!("[{bar},{bar},{bar}]"), 17),
        (format!("{bar}\n{bar}"), 17),
        (columns.to_owned(), 22),
    ] {
        assert_eq!(code(&body, n_values, BodyFormat::Json), "ok", "{body}");
        assert_eq!(code(&body, n_values - 1, BodyFormat::Json), "too_many_json_values", "{body}");
    }
    let list = format!("[{}1]", "1,".repeat(200_000));
    assert_eq!(code(&list, 100, BodyFormat::Csv), "missing_column", "JSON sent as CSV is not read at all");
}

#[test]
fn a_body_of_which_nothing_is_said_is_known_by_its_first_bytes() {
    let told =
        |body: &[u8], format: BodyFormat| told(&read(body, format, &ReadOptions::default(), &IngestLimits::default()));
    let json = r#"[{"date":"2024-01-02","open":10,"high":11,"low":9,"close":10.5,"volume":500}]"#;
    let columns = r#"{"date":["2024-01-02"],"open":[10],"high":[11],"low":[9],"close":[10.5],"volume":[500]}"#;
    let csv = "date,open,high,low,close,volume\n2024-01-02,10,11,9,10.5,500\n";
    let settings = format!("[Export]\n{csv}");
    let bars = vec![(1, [100; 4], Some(5))];
    let parquet = write(&series(&bars, true), BodyFormat::Parquet).expect("written");
    for body in [json, &format!("\u{feff}  {json}"), columns, csv, &settings] {
        assert_eq!(told(body.as_bytes(), BodyFormat::Any), ONE, "{body}");
    }
    assert_eq!(told(&zipped(&[("bars.json", columns.as_bytes().to_vec())]), BodyFormat::Any), ONE);
    assert_eq!(told(&parquet, BodyFormat::Any), told(&parquet, BodyFormat::Parquet));
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    for format in [BodyFormat::Any, BodyFormat::Json] {
        assert_eq!(told(&utf16(json), format), ONE, "as PowerShell writes it");
    }
    assert_eq!(told(&utf16(csv), BodyFormat::Any), ONE);
    for format in [BodyFormat::Json, BodyFormat::Parquet] {
        assert!(told(b"\x1f\x8b\x08rest", format).starts_with("looks_like_gzip"));
    }
    assert!(told(json.as_bytes(), BodyFormat::Csv).starts_with("missing_column"), "as it is said");
    assert!(told(&parquet, BodyFormat::Csv).starts_with("not_csv"), "as it is said");
}

#[test]
fn json_that_grows_when_it_is_read_is_refused_while_it_is_read() {
    let bar = |extra: String| format!(r#"{{"date":"2024-01-02","open":1,"high":1,"low":1,"close":1{extra}}}"#);
    let records = |n: usize| {
        let records: Vec<String> = (0..n).map(|idx| bar(format!(r#","k{idx}":1"#))).collect();
        format!("[{}]", records.join(","))
    };
    let code = |body: &str, limits: &IngestLimits| {
        read(body.as_bytes(), BodyFormat::Json, &ReadOptions::default(), limits).map_or_else(|e| e.code(), |_| "ok")
    };
    let limits = IngestLimits { max_columns: 64, ..IngestLimits::default() };
    assert_eq!(code(&records(50), &limits), "ok");
    assert_eq!(code(&records(5_000), &limits), "too_many_columns");
    assert_eq!(code(&format!(r#"{{"data":{}}}"#, records(5_000)), &limits), "too_many_columns");
    // Each record has one field; as rows of 64 columns they are mostly commas.
    let wide: String = (0..50).map(|idx| format!(r#","k{idx}":1"#)).collect();
    let narrow = vec![bar(String::new()); 1_000].join(",");
    let grows = format!("[{},{narrow}]", bar(wide));
    let small = IngestLimits { max_inflated_bytes: grows.len(), ..limits };
    assert_eq!(code(&grows, &small), "inflated_too_large");
}

/// A workbook as a spreadsheet wrote it, with another text for its sheet.
fn workbook(sheet: &str) -> Vec<u8> {
    workbook_with(sheet, None)
}

/// The same, with a text that cells may share, and what is claimed of such texts.
fn workbook_with(sheet: &str, shared: Option<(&str, &str)>) -> Vec<u8> {
    let mut parts = parts(include_bytes!("fixtures/dialects/text_numbers.xlsx"));
    for (_, content) in parts.iter_mut().filter(|(name, _)| name.starts_with("xl/worksheets/")) {
        *content = format!(
            "<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{sheet}\
             </sheetData></worksheet>"
        )
        .into_bytes();
    }
    if let Some((claim, text)) = shared {
        let xml = format!(
            "<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"{claim}><si><t>{text}</t></si></sst>"
        );
        parts.push(("xl/sharedStrings.xml".to_owned(), xml.into_bytes()));
    }
    zipped(&parts.iter().map(|(name, content)| (name.as_str(), content.clone())).collect::<Vec<_>>())
}

/// A workbook with one text within a part replaced.
fn with_text(book: &[u8], part: &str, text: &str, by: &str) -> Vec<u8> {
    let mut parts = parts(book);
    let (_, content) = parts.iter_mut().find(|(name, _)| name == part).expect("the part");
    let changed = std::str::from_utf8(content).expect("text").replacen(text, by, 1);
    assert_ne!(changed.as_bytes(), content.as_slice(), "{part} has no {text}");
    *content = changed.into_bytes();
    zipped(&parts.iter().map(|(name, content)| (name.as_str(), content.clone())).collect::<Vec<_>>())
}

fn parts(book: &[u8]) -> Vec<(String, Vec<u8>)> {
    use std::io::Read as _;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(book)).expect("a workbook");
    let n_parts = zip.len();
    let part = |idx| {
        let mut part = zip.by_index(idx).expect("a part");
        let name = part.name().expect("a name").to_string();
        let mut content = Vec::new();
        part.read_to_end(&mut content).expect("its content");
        (name, content)
    };
    (0..n_parts).map(part).collect()
}

fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).expect("a part");
        zip.write_all(bytes).expect("into memory");
    }
    zip.finish().expect("into memory").into_inner()
}

fn sheet_of(rows: &[[&str; 5]]) -> String {
    let row = |(idx, cells): (usize, &[&str; 5])| {
        let cell = |(column, text): (usize, &&str)| {
            let place = char::from(b'A' + column as u8);
            format!("<c r=\"{place}{}\" t=\"inlineStr\"><is><t>{text}</t></is></c>", idx + 1)
        };
        format!("<row r=\"{}\">{}</row>", idx + 1, cells.iter().enumerate().map(cell).collect::<String>())
    };
    rows.iter().enumerate().map(row).collect()
}

#[test]
fn a_workbook_takes_no_more_than_its_parts_do() {
    let rows = [["date", "open", "high", "low", "close"], ["2024-01-02", "1", "1", "1", "1"]];
    let book = workbook(&sheet_of(&rows));
    let limits = IngestLimits { max_inflate_ratio: 1 << 20, ..IngestLimits::default() };
    let told = |book: &[u8]| told(&read(book, BodyFormat::Csv, &ReadOptions::default(), &limits));
    let ok = told(&book);
    // Styles that all refer to one long format.
    let format = format!("<numFmts><numFmt numFmtId=\"200\" formatCode=\"{}\"/></numFmts>", "0".repeat(500_000));
    let styled = with_text(&book, "xl/styles.xml", "<numFmts count=\"0\" />", &format);
    let xfs = "<cellXfs>".to_owned() + &"<xf numFmtId=\"200\"/>".repeat(100_000);
    assert_eq!(told(&with_text(&styled, "xl/styles.xml", "<cellXfs count=\"1\">", &xfs)), ok);
    // Sheets that are all the same part.
    let empty = "<row><c/></row>".repeat(100_000);
    let (sheet, many) = (r#"<sheet name="Sheet" sheetId="1" state="visible" r:id="rId1" />"#, |count: usize| {
        (0..count).map(|n| format!(r#"<sheet name="S{n}" sheetId="{n}" r:id="rId1" />"#)).collect::<String>()
    });
    let of_sheets = |count| with_text(&workbook(&(sheet_of(&rows) + &empty)), "xl/workbook.xml", sheet, &many(count));
    assert_eq!(told(&of_sheets(1)), ok);
    assert_eq!(told(&of_sheets(100_000)), ok, "read once");
}

#[test]
fn a_workbook_s_parts_share_one_cap() {
    let mut parts = parts(&workbook(""));
    parts.retain(|(name, _)| name != "xl/styles.xml");
    let sheet = parts.iter().position(|(name, _)| name.starts_with("xl/worksheets/")).expect("a sheet");
    let sheet = parts.remove(sheet);
    parts.extend(["styles", "sharedStrings"].map(|name| (format!("xl/{name}.xml"), vec![b' '; 700_000])));
    parts.push(sheet);
    let mut book = zipped(&parts.iter().map(|(name, content)| (name.as_str(), content.clone())).collect::<Vec<_>>());
    // The checksum of the last part in the archive's directory is wrong: who reads it to its end is told so.
    let last = book.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("an entry");
    book[last + 16] ^= 1;
    for (max_inflated_bytes, expected) in [(1_000_000, "inflated_too_large: "), (10_000_000, "corrupt_body: ")] {
        let limits = IngestLimits { max_inflated_bytes, max_inflate_ratio: 1 << 20, ..IngestLimits::default() };
        let told = told(&read(&book, BodyFormat::Csv, &ReadOptions::default(), &limits));
        assert!(told.starts_with(expected), "{told}");
    }
}

#[test]
fn a_workbook_of_several_sheets_is_read_where_one_is_of_prices() {
    let rows = [["date", "open", "high", "low", "close"], ["2024-01-02", "1", "1", "1", "1"]];
    let notes = [["written by", "us", "", "", ""], ["2024-01-02", "all", "rights", "reserved", ""]];
    let book = |sheets: &[(&str, String)]| {
        let mut parts = parts(&workbook(""));
        parts.retain(|(name, _)| !name.starts_with("xl/worksheets/"));
        let of = |name: &str, parts: &mut Vec<(String, Vec<u8>)>, from: &str, by: &str| {
            let (_, content) = parts.iter_mut().find(|(found, _)| found == name).expect("the part");
            let text = std::str::from_utf8(content).expect("text");
            let start = text.find(from).expect("where it begins");
            let end = start + text[start..].find("/>").expect("where it ends") + 2;
            *content = format!("{}{by}{}", &text[..start], &text[end..]).into_bytes();
        };
        let (mut named, mut meant) = (String::new(), String::new());
        for (at, (name, sheet)) in sheets.iter().enumerate() {
            named += &format!("<sheet name=\"{name}\" sheetId=\"{at}\" r:id=\"s{at}\"/>");
            meant += &format!("<Relationship Id=\"s{at}\" Target=\"/xl/worksheets/{at}.xml\"/>");
            let xml = format!("<worksheet><sheetData>{sheet}</sheetData></worksheet>");
            parts.push((format!("xl\\Worksheets\\{at}.xml"), xml.into_bytes()));
        }
        of("xl/workbook.xml", &mut parts, "<sheet ", &named);
        of("xl/_rels/workbook.xml.rels", &mut parts, "<Relationship ", &meant);
        let book = zipped(&parts.iter().map(|(name, content)| (name.as_str(), content.clone())).collect::<Vec<_>>());
        told(&read(&book, BodyFormat::Csv, &ReadOptions::default(), &IngestLimits::default()))
    };
    let (prices, notes) = (sheet_of(&rows), sheet_of(&notes));
    let header_alone = sheet_of(&rows[..1]);
    let one = book(&[("AAPL", prices.clone())]);
    assert!(one.contains("2024-01-02 1 1 1 1 -"), "{one}");
    assert_eq!(book(&[("Notes", notes), ("AAPL", prices.clone()), ("Form", header_alone)]), one);
    let hidden = "Cache\" state=\"veryHidden";
    assert_eq!(book(&[(hidden, prices.clone()), ("AAPL", prices.clone())]), one, "what nobody sees is no rival");
    assert_eq!(
        book(&[(hidden, prices.clone()), ("Empty", sheet_of(&[]))]),
        one,
        "but it is read where nothing else is"
    );
    let two = book(&[("AAPL", prices.clone()), ("R&amp;D", prices)]);
    assert!(two.starts_with("archive_files: ") && two.contains("2 sheets of prices (AAPL, R&D)"), "{two}");
}

#[test]
fn packed_bodies_are_capped_on_both_sides() {
    let code = |bytes: &[u8], format: BodyFormat, limits: &IngestLimits| {
        read(bytes, format, &ReadOptions::default(), limits).map_or_else(|error| error.code(), |_| "ok")
    };
    let limits = IngestLimits::default;
    let header = ["date", "open", "high", "low", "close"];
    let book = workbook(&sheet_of(&[header, ["2024-01-02", "1", "1", "1", "1"], ["2024-01-03", "1", "1", "1", "1"]]));
    assert_eq!(code(&book, BodyFormat::Csv, &limits()), "ok");
    assert_eq!(code(&book, BodyFormat::Csv, &IngestLimits { max_rows: 1, ..limits() }), "too_many_rows");
    assert_eq!(code(&book, BodyFormat::Csv, &IngestLimits { max_columns: 4, ..limits() }), "too_many_columns");
    // What is unpacked: all but what says whose the book is, and how it looks.
    let long = workbook(&sheet_of(&[&[header][..], &[["2024-01-02", "1", "1", "1", "1"]; 200]].concat()));
    let is_read = |name: &str| name.ends_with(".rels") || (name.starts_with("xl/") && !name.contains("theme"));
    let n_bytes: usize = parts(&long).iter().filter(|(name, _)| is_read(name)).map(|(_, part)| part.len()).sum();
    for (max_inflated_bytes, expected) in [(n_bytes, "ok"), (n_bytes - 1, "inflated_too_large")] {
        assert_eq!(code(&long, BodyFormat::Csv, &IngestLimits { max_inflated_bytes, ..limits() }), expected);
    }
    // Two cells far apart are a sheet of billions.
    let far = "<row r=\"1\"><c r=\"A1\"><v>1</v></c></row><row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>";
    assert!(["too_many_rows", "too_many_columns"].contains(&code(
        &workbook(far),
        BodyFormat::Csv,
        &IngestLimits { max_rows: 1_000, ..limits() }
    )));
    // One text of ten kilobytes, in a hundred cells.
    let cells = r#"<row><c t="s"><v>0</v></c></row>"#.repeat(100);
    let shared = workbook_with(&cells, Some(("", &"x".repeat(10_000))));
    let cap = |max_inflated_bytes| IngestLimits { max_inflated_bytes, max_inflate_ratio: 1 << 20, ..limits() };
    assert_eq!(code(&shared, BodyFormat::Csv, &cap(2_000_000)), "missing_header");
    assert_eq!(code(&shared, BodyFormat::Csv, &cap(900_000)), "inflated_too_large");
    // Room is not made for as many texts as a file claims to have.
    for count in ["100000000000", "18446744073709551615"] {
        let claim = format!(" uniqueCount=\"{count}\"");
        assert_eq!(code(&workbook_with(&cells, Some((&claim, "x"))), BodyFormat::Csv, &limits()), "missing_header");
    }
    let csv = b"date,open,high,low,close\n2024-01-02,1,1,1,1\n".to_vec();
    let zip = zipped(&[("A.csv", csv.clone())]);
    assert_eq!(code(&zip, BodyFormat::Csv, &limits()), "ok");
    assert_eq!(code(&zipped(&[("A.csv", csv.clone()), ("B.csv", csv)]), BodyFormat::Csv, &limits()), "archive_files");
    let bomb = zipped(&[("A.csv", vec![b'0'; 3 << 20])]);
    assert_eq!(code(&bomb, BodyFormat::Csv, &limits()), "inflate_ratio");
    assert_eq!(
        code(
            &bomb,
            BodyFormat::Csv,
            &IngestLimits { max_inflated_bytes: 2 << 20, max_inflate_ratio: 1 << 20, ..limits() }
        ),
        "inflated_too_large"
    );
    let bars: Vec<(u8, [u32; 4], Option<u32>)> = vec![(1, [100; 4], Some(5)); 40];
    let parquet = write(&series(&bars, true), BodyFormat::Parquet).expect("written");
    assert_eq!(code(&parquet, BodyFormat::Parquet, &IngestLimits { max_rows: 40, max_columns: 6, ..limits() }), "ok");
    assert_eq!(code(&parquet, BodyFormat::Parquet, &IngestLimits { max_rows: 39, ..limits() }), "too_many_rows");
    assert_eq!(code(&parquet, BodyFormat::Parquet, &IngestLimits { max_columns: 5, ..limits() }), "too_many_columns");
    assert_eq!(code(&parquet, BodyFormat::Parquet, &IngestLimits { max_inflated_bytes: 1 << 20, ..limits() }), "ok");
    assert_eq!(
        code(&parquet, BodyFormat::Parquet, &IngestLimits { max_inflated_bytes: 100, ..limits() }),
        "inflated_too_large"
    );
    assert_eq!(code(&parquet[..parquet.len() / 2], BodyFormat::Parquet, &limits()), "invalid_parquet");
}
