//! `candlecast.example.toml` is made from the doc comments of the settings, so the two cannot drift apart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use candlecast::config::{EXAMPLE, Settings, SettingsFlags};
use serde_json::Value;

/// A struct of settings as its source says it.
struct Section {
    fields: Vec<Field>,
}

struct Field {
    doc: Vec<String>,
    name: String,
    of_type: String,
}

#[test]
fn the_example_says_every_setting_once_with_its_default() {
    let sections = sections();
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    let mut made = String::from(HEAD);
    write_section(&mut made, &sections, "Settings", "", &defaults);
    if made != EXAMPLE && std::env::var_os("CANDLECAST_TEST_UPDATE").is_some() {
        fs::write(root().join("candlecast.example.toml"), &made).unwrap();
        return;
    }
    assert!(
        made == EXAMPLE,
        "candlecast.example.toml is not what the settings say; set CANDLECAST_TEST_UPDATE=1 and run again"
    );
}

#[test]
fn the_example_uncommented_gives_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.toml");
    let uncommented: Vec<_> = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    fs::write(&path, uncommented.join("\n")).unwrap();
    let loaded = Settings::load(&SettingsFlags { config: Some(path), ..Default::default() }).unwrap();
    assert_eq!(loaded, Settings::default());
    assert!(uncommented.iter().filter(|line| line.contains(" = ")).count() > 20, "nothing was uncommented");
}

const HEAD: &str = "\
# Settings of candlecast, each at its default. Copy to candlecast.toml and take the # away from what you change.
#
# The same by environment: CANDLECAST_ and the path in upper case, with __ for each dot, as in
# CANDLECAST_HTTP__MAX_CONNECTIONS=100; short names are CANDLECAST_LISTEN, CANDLECAST_MODELS_DIR, CANDLECAST_LOG
# and DATABASE_URL. The same by flag: --set http.max_connections=100; short ones are --listen, --database-url,
# --models-dir and --log. Flags go before the environment, and that before this file. Unknown names are refused.
# Sizes are in bytes, times in milliseconds (their names end in _ms).
";

fn write_section(made: &mut String, sections: &BTreeMap<String, Section>, name: &str, path: &str, defaults: &Value) {
    let section = &sections[name];
    for field in section.fields.iter().filter(|field| !sections.contains_key(&field.of_type)) {
        writeln!(made).unwrap();
        write_doc(made, &field.doc);
        writeln!(made, "#{} = {}", field.name, defaults[&field.name]).unwrap();
    }
    for field in &section.fields {
        let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
        if let Some(inner) = sections.get(&field.of_type) {
            writeln!(made).unwrap();
            write_doc(made, &field.doc);
            if inner.fields.iter().any(|field| !sections.contains_key(&field.of_type)) {
                writeln!(made, "[{path}]").unwrap();
            }
            write_section(made, sections, &field.of_type, &path, &defaults[&field.name]);
        }
    }
}

fn write_doc(made: &mut String, doc: &[String]) {
    assert!(!doc.is_empty(), "a setting without documentation");
    doc.iter().for_each(|line| writeln!(made, "# {line}").unwrap());
}

/// The structs that settings are made of, read from the sources that hold them.
fn sections() -> BTreeMap<String, Section> {
    let mut sections = BTreeMap::new();
    for folder in ["src/config", "src/ingest", "src/train"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                let Some(name) = line.strip_prefix("pub struct ").and_then(|rest| rest.strip_suffix(" {")) else {
                    continue;
                };
                if name.ends_with("Settings") || name.ends_with("Limits") {
                    sections.insert(name.to_owned(), Section { fields: fields(&mut lines) });
                }
            }
        }
    }
    sections
}

/// The public fields up to the closing brace.
fn fields<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut doc = Vec::new();
    for line in lines.take_while(|line| *line != "}").map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc.push(text.to_owned());
        } else if let Some((name, of_type)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": ")) {
            let of_type = of_type.trim_end_matches(',').to_owned();
            fields.push(Field { doc: std::mem::take(&mut doc), name: name.to_owned(), of_type });
        }
    }
    fields
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
