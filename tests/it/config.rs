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
    /// `min = 1, max = 100_000`, as the source says it; empty where any value is allowed.
    range: String,
    name: String,
    of_type: String,
}

#[test]
fn the_example_says_every_setting_once_with_its_default() {
    let sections = sections();
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    let mut made = String::from(HEAD);
    write_section(&mut made, &sections, "Settings", "", &defaults);
    check_file("candlecast.example.toml", &made);
}

#[test]
fn the_manual_explains_every_setting() {
    let sections = sections();
    let defaults = serde_json::to_value(Settings::default()).unwrap();
    let mut made = String::from(MANUAL_HEAD);
    explain_section(&mut made, &sections, "Settings", "", &defaults);
    check_file("docs/configuration.md", &made);
    let mut keys = Vec::new();
    leaves("", &defaults, &mut keys);
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        assert_eq!(made.matches(&format!("### `{key}`\n")).count(), 1, "{key} has one place in the manual");
    }
}

/// A file that is made from the settings; set CANDLECAST_TEST_UPDATE to make it.
fn check_file(name: &str, made: &str) {
    let path = root().join(name);
    if std::env::var_os("CANDLECAST_TEST_UPDATE").is_some() {
        fs::write(&path, made).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == made, "{name} is not what the settings say; set CANDLECAST_TEST_UPDATE=1 and run again");
}

fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    let Some(fields) = value.as_object() else { return found.push(path.to_owned()) };
    for (name, value) in fields {
        leaves(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, found);
    }
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

const MANUAL_HEAD: &str = "\
# Configuration

Made from the comments of the settings in `src/config/`; `candlecast config` prints what is in force.

A setting is taken from the command line, else the environment, else the file `candlecast.toml` (or `--config FILE`,
or `CANDLECAST_CONFIG`), else its default. In the file `http.listen` is `listen` below `[http]`;
`candlecast.example.toml` has them all. Names that do not exist are refused, with the nearest one that does; values
outside of what is allowed are refused too, before anything starts. Times are in milliseconds, sizes in bytes.
";

/// Settings that have a short name besides the long one.
const SHORT: &[(&str, &str, &str)] = &[
    ("models_dir", "", "--models-dir"),
    ("http.listen", "CANDLECAST_LISTEN", "--listen"),
    ("database.url", "DATABASE_URL", "--database-url"),
    ("auth.bootstrap_key", "CANDLECAST_BOOTSTRAP_KEY", ""),
    ("log.filter", "CANDLECAST_LOG", "--log"),
    ("worker.in_serve", "", "serve --no-worker"),
];

fn explain_section(made: &mut String, sections: &BTreeMap<String, Section>, name: &str, path: &str, defaults: &Value) {
    let section = &sections[name];
    let at = |field: &Field| if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
    for field in section.fields.iter().filter(|field| !sections.contains_key(&field.of_type)) {
        explain(made, field, &at(field), &defaults[&field.name]);
    }
    for field in &section.fields {
        if let Some(inner) = sections.get(&field.of_type) {
            if inner.fields.iter().any(|field| !sections.contains_key(&field.of_type)) {
                writeln!(made, "\n## {}\n\n{}", at(field), field.doc.join("\n")).unwrap();
            }
            explain_section(made, sections, &field.of_type, &at(field), &defaults[&field.name]);
        }
    }
}

fn explain(made: &mut String, field: &Field, path: &str, default: &Value) {
    let variable = format!("CANDLECAST_{}", path.to_uppercase().replace('.', "__"));
    let (short, flag) = SHORT.iter().find(|(of, ..)| *of == path).map_or(("", ""), |(_, short, flag)| (*short, *flag));
    let variable = if short.is_empty() { format!("`{variable}`") } else { format!("`{short}`, `{variable}`") };
    let set = format!("`--set {path}=…`");
    let flag = if flag.is_empty() { set } else { format!("`{flag}`, {set}") };
    let doc = field.doc.join("\n");
    if default.is_number() {
        let words = doc.to_lowercase();
        let tells = ["too low", "too high", "lower", "higher", "more than", "too few"];
        assert!(tells.iter().any(|word| words.contains(word)), "{path} does not say what too much or too little does");
    }
    writeln!(made, "\n### `{path}`\n\n{variable} · {flag} · default `{default}`{}\n\n{doc}", allowed(&field.range))
        .unwrap();
}

fn allowed(range: &str) -> String {
    let of = |name: &str| {
        let value = range.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix(" = "));
        value.map(|value| value.replace('_', ""))
    };
    match (of("min"), of("max")) {
        (Some(min), Some(max)) => format!(" · {min} to {max}"),
        (Some(min), None) => format!(" · at least {min}"),
        (None, Some(max)) => format!(" · at most {max}"),
        (None, None) => String::new(),
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
        let paths = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        for file in paths.filter(|path| path.is_file()) {
            let text = fs::read_to_string(file).unwrap();
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
    let (mut doc, mut range) = (Vec::new(), String::new());
    for line in lines.take_while(|line| *line != "}").map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc.push(text.to_owned());
        } else if let Some(allowed) = line.strip_prefix("#[garde(range(").and_then(|rest| rest.strip_suffix("))]")) {
            range = allowed.to_owned();
        } else if let Some((name, of_type)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": ")) {
            let of_type = of_type.trim_end_matches(',').to_owned();
            let (doc, range) = (std::mem::take(&mut doc), std::mem::take(&mut range));
            fields.push(Field { doc, range, name: name.to_owned(), of_type });
        }
    }
    fields
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
