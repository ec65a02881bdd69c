//! The shape of the code base, held by reading it: module order, and one home for each big library.

use std::fs;
use std::path::{Path, PathBuf};

/// Each big library and the modules that may name it; swapping it then means rewriting these.
const HOMES: &[(&str, &[&str])] = &[
    ("polars", &["ingest"]),
    ("candle_core", &["nn", "train"]),
    ("candle_nn", &["nn", "train"]),
    ("sqlx", &["store"]),
    ("axum", &["http"]),
    ("utoipa", &["http"]),
    ("clap", &["cli", "config"]),
    ("object_store", &["registry"]),
];

#[test]
fn a_module_imports_only_from_modules_above_it() {
    let modules = modules();
    assert_eq!(modules.len(), 14, "the module list of lib.rs was not read: {modules:?}");
    let mut upward = Vec::new();
    for (position, module) in modules.iter().enumerate() {
        for (path, text) in sources(module) {
            for lower in &modules[position + 1..] {
                let name = format!("crate::{lower}");
                for (idx, line) in text.lines().enumerate().filter(|(_, line)| names(line, &name)) {
                    upward.push(format!("{}:{}: {module} uses {lower}: {}", path.display(), idx + 1, line.trim()));
                }
            }
        }
    }
    assert!(upward.is_empty(), "these look down the list of lib.rs:\n{}", upward.join("\n"));
}

#[test]
fn each_big_library_has_one_home() {
    let mut strays = Vec::new();
    for module in modules() {
        for (path, text) in sources(&module) {
            for (library, homes) in HOMES.iter().filter(|(_, homes)| !homes.contains(&module.as_str())) {
                for (idx, line) in text.lines().enumerate().filter(|(_, line)| names(line, &format!("{library}::"))) {
                    strays.push(format!(
                        "{}:{}: {library} lives in {homes:?}: {}",
                        path.display(),
                        idx + 1,
                        line.trim()
                    ));
                }
            }
        }
    }
    assert!(strays.is_empty(), "away from home:\n{}", strays.join("\n"));
}

#[test]
fn the_check_sees_an_import_and_no_word_that_only_looks_like_one() {
    assert!(names("use crate::http::Problem;", "crate::http"));
    assert!(names("    crate::http::serve()", "crate::http"));
    assert!(!names("//! see crate::http", "crate::http"));
    assert!(!names("use crate::https::X;", "crate::http"));
}

/// The modules in the order of `lib.rs`.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("src/lib.rs is readable");
    lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let src = root().join("src");
    let mut found = Vec::new();
    let mut folders = vec![src.join(module)];
    let file = src.join(format!("{module}.rs"));
    if file.exists() {
        found.push(file);
    }
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                false => {}
            }
        }
    }
    assert!(!found.is_empty(), "module {module} has no files");
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).expect("readable"))).collect()
}

/// Whether code of this line (not its comment) has `name` as a whole path.
fn names(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(name).any(|(at, _)| {
        let whole = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        whole(code[at + name.len()..].chars().next()) || name.ends_with("::")
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
