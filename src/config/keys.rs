//! The names that a setting can be given by.

use serde_json::Value;

use super::Settings;

/// Every setting by its dotted path (`http.listen`), with its default.
pub(super) fn known() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    // Settings are plain data, which always serialises; were it not so, every key would be refused as unknown.
    flatten("", &serde_json::to_value(Settings::default()).unwrap_or_default(), &mut found);
    found
}

/// The path that an environment variable of ours sets: `CANDLECAST_HTTP__LISTEN` sets `http.listen`.
/// `None` for variables that are not ours.
pub(super) fn of_variable(name: &str) -> Option<String> {
    match name {
        "DATABASE_URL" => return Some("database.url".to_owned()),
        "CANDLECAST_LISTEN" => return Some("http.listen".to_owned()),
        "CANDLECAST_BOOTSTRAP_KEY" => return Some("auth.bootstrap_key".to_owned()),
        "CANDLECAST_LOG" => return Some("log.filter".to_owned()),
        // Read by the command line and by our tests.
        "CANDLECAST_CONFIG" => return None,
        _ if name.starts_with("CANDLECAST_TEST_") => return None,
        _ => {}
    }
    name.strip_prefix("CANDLECAST_").map(|rest| rest.to_ascii_lowercase().replace("__", "."))
}

/// The known path that looks most like an unknown one, if any does.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    // With more than a third of its characters wrong it is another word.
    let near = |typed: &str, path: &str| Some(distance(typed, path)).filter(|wrong| wrong * 3 <= typed.chars().count());
    known
        // A setting put into the wrong section counts as near as one typing error, one cut short as two.
        .filter_map(|path| {
            let whole = near(unknown, path);
            let misplaced = near(&last(unknown), &last(path)).map(|wrong| 1 + wrong);
            let cut_short = distance_to_start(unknown, path).map(|wrong| 2 + wrong);
            Some(([whole, misplaced, cut_short].into_iter().flatten().min()?, path))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, path)| path)
}

/// How far an unknown setting is from the beginning of a known one of the same section, as `http.rate_limt` from
/// `http.rate_limit_per_second`; `None` where a third of its name would be wrong, or more than three characters.
fn distance_to_start(unknown: &str, path: &str) -> Option<usize> {
    let ((section, unknown), (known_section, name)) = (unknown.rsplit_once('.')?, path.rsplit_once('.')?);
    if section != known_section {
        return None;
    }
    let n_typed = unknown.chars().count();
    let nearest = distances(unknown, name).into_iter().min()?;
    (nearest <= 3 && nearest * 3 < n_typed).then_some(nearest)
}

/// How many characters to insert, remove or replace to turn one text into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    distances(a, b).pop().unwrap_or_default()
}

/// The distance from `a` to each beginning of `b`, from none of it to all of it.
fn distances(a: &str, b: &str) -> Vec<usize> {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row
}

fn flatten(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, found);
            }
        }
        value => found.push((path.to_owned(), value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_setting_and_nonsense_finds_none() {
        let known = known();
        let near = |unknown: &str| nearest(unknown, known.iter().map(|(path, _)| path.as_str()));
        assert_eq!(near("http.lissten"), Some("http.listen"));
        assert_eq!(near("model_dir"), Some("models_dir"));
        assert_eq!(near("listen"), Some("http.listen"));
        assert_eq!(near("http.rate_limt"), Some("http.rate_limit_burst"), "the first of those that begin so");
        assert_eq!(near("worker.hartbet"), Some("worker.heartbeat_ms"));
        assert_eq!(near("frobnicate"), None);
        assert_eq!(near("http.frobnicate"), None);
        assert_eq!(near("http.foo"), None, "not limits.backtest.folds");
    }

    #[test]
    fn every_setting_has_a_variable() {
        for (path, _) in known() {
            let name = format!("CANDLECAST_{}", path.to_ascii_uppercase().replace('.', "__"));
            assert_eq!(of_variable(&name), Some(path));
        }
        assert_eq!(of_variable("PATH"), None);
        assert_eq!(of_variable("CANDLECAST_MODELS_DIR").as_deref(), Some("models_dir"));
    }
}
