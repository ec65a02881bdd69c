//! The command as a user runs it: the real binary in an empty folder.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// An empty folder to run commands in, out of reach of the settings of whoever runs the tests.
pub(super) struct Desk(pub(super) TempDir);

impl Desk {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(super) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_candlecast"));
        command.args(line.split_whitespace()).current_dir(&self.0).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CANDLECAST_") || name == "DATABASE_URL")
        {
            command.env_remove(name);
        }
        command
    }

    pub(super) fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("the binary runs")
    }

    /// Standard output of a command that succeeds.
    pub(super) fn ok(&self, line: &str) -> String {
        let done = self.run(line);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("UTF-8")
    }

    pub(super) fn json(&self, line: &str) -> Value {
        let text = self.ok(&format!("{line} --json"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
    }

    /// Exit code and standard error of a command that fails.
    pub(super) fn refused(&self, line: &str) -> (Option<i32>, String) {
        let done = self.run(line);
        (done.status.code(), String::from_utf8_lossy(&done.stderr).trim_end().to_owned())
    }
}

#[test]
fn inspecting_tells_what_would_be_read_and_why() {
    let desk = Desk::new();
    std::fs::write(
        desk.0.path().join("GOOD.csv"),
        "Date,Open,High,Low,Close\n13/02/2024,10,11,9,10.5\n13/02/2024,10,11,9,10.5\n14/02/2024,10,9,11,10\n",
    )
    .expect("a file");
    std::fs::write(desk.0.path().join("PAGE.csv"), "<html><title>Sign in</title></html>").expect("a file");
    let told = desk.ok("inspect GOOD.csv");
    for part in [
        "dates %d/%m/%Y: some rows can be read in this order only",
        "2024-02-13: open 10, high 11, low 9, close 10.5, volume none",
        "1 bar of 3 rows, 1 refused, 1 equal to or joined with another",
        "refused for high_below_low: 1",
        "--date-format=%d/%m/%Y --decimal=. --delimiter=, --encoding=utf-8",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let (status, told) = desk.refused("inspect PAGE.csv");
    assert_eq!((status, told.contains("cannot be used")), (Some(1), true), "{told}");

    for command in ["inspect", "ingest --no-train"] {
        let done = desk.run(&format!("{command} NOWHERE.csv PAGE.csv GOOD.csv"));
        let (told, shown) = (String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(&done.stdout));
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(shown.contains("GOOD.csv: "), "a bad file costs itself only: {shown}");
        assert!(told.contains("NOWHERE.csv") && told.contains("2 of 3 files"), "{told}");
        assert!(told.contains("PAGE.csv") || shown.contains("PAGE.csv: refused"), "{told}{shown}");
    }
}

#[test]
fn from_a_file_to_a_forecast() {
    let desk = Desk::new();
    desk.ok("generate --tickers 2 --bars 400 --last 2026-03-06 --folder prices");
    let seen = desk.json("inspect prices/SYN0001.csv");
    assert_eq!((&seen["bars"], &seen["refused"]), (&400.into(), &0.into()));

    let stored = desk.json("ingest prices/SYN0001.csv --no-train");
    assert_eq!((&stored["inserted"], &stored["unchanged"]), (&400.into(), &0.into()));
    let again = desk.json("ingest prices/SYN0001.csv --no-train");
    assert_eq!((&again["inserted"], &again["unchanged"]), (&0.into(), &400.into()));
    assert_eq!(desk.json("tickers")["tickers"][0]["last"], "2026-03-06");

    for (line, way_out) in
        [("forecast SYN0001", "`candlecast train SYN0001` trains one now"), ("forecast SYN9", "`candlecast tickers`")]
    {
        let (code, told) = desk.refused(line);
        assert!(code == Some(1) && told.contains(way_out) && told.lines().count() == 1, "{line}: {told}");
    }

    let jobs = desk.json("train SYN0001 --preset fast --horizon 2");
    assert_eq!(jobs["jobs"][0]["result"]["model_version"], 1, "{jobs}");
    assert_eq!(
        (&jobs["jobs"][0]["config"]["horizon"], &jobs["jobs"][0]["cancel_requested"]),
        (&2.into(), &false.into())
    );
    assert_eq!(desk.json("models SYN0001")["models"][0]["champion"], true);
    let id = jobs["jobs"][0]["id"].as_str().expect("an id");
    let table = desk.ok("jobs");
    assert!(table.contains(id) && table.contains("version 1 in service"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(desk.ok(&format!("jobs --cancel {id}")).contains("has ended already: succeeded"));
    assert!(desk.ok("--json jobs").ends_with("}\n"));

    let forecast = desk.json("forecast SYN0001 --horizon 2 --levels 0.8");
    let steps = forecast["forecasts"][0]["steps"].as_array().expect("steps");
    assert_eq!(steps.len(), 2);
    let at = |field: &str| steps[0]["intervals"][0][field].as_f64().expect("a number");
    assert!(at("lower") < at("upper"), "{forecast}");
    let (_, told) = desk.refused("forecast SYN0001 --horizon 10");
    assert!(told.contains("`candlecast train SYN0001 --horizon 10`"), "{told}");
    let table = desk.ok("forecast SYN0001");
    assert!(table.contains("v1") && table.contains("95 %"), "{table}");
    let (table, told) = table.split_once("SYN0001: ").expect("bars of the past are told to be old");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "it fits a terminal: {table}");
    assert!(told.starts_with("the newest bar is of 2026-03-06, and ") && told.lines().count() == 1, "{told}");
}

#[test]
fn the_demonstration_works_on_an_invented_market_and_on_files() {
    let desk = Desk::new();
    let shown = desk.ok("demo --no-serve");
    assert!(shown.contains("SYNTHETIC DATA"), "{shown}");
    assert_eq!(shown.matches("now in service").count(), 3, "{shown}");
    assert!(!desk.0.path().join("data/candlecast.db").exists(), "the user's own database was touched");

    desk.ok("generate --tickers 1 --bars 400 --folder prices");
    std::fs::write(desk.0.path().join("prices/NOTES.csv"), "not,prices\n").expect("written");
    let shown = desk.ok("demo --no-serve prices");
    assert!(!shown.contains("SYNTHETIC DATA") && shown.contains("SYN0001"), "{shown}");

    std::fs::create_dir(desk.0.path().join("empty")).expect("made");
    for (folder, why) in [("nofolder", "is not there"), ("empty", "has no price files")] {
        let (code, told) = desk.refused(&format!("demo --no-serve {folder}"));
        assert_eq!((code, told.contains(why)), (Some(1), true), "{told}");
        assert!(desk.0.path().join("data/demo/candlecast.db").exists(), "{folder}: the demo before is gone");
    }
    let lock = std::fs::File::open(desk.0.path().join("data/demo.lock")).expect("left by the last one");
    lock.try_lock().expect("given back by it");
    let (code, told) = desk.refused("demo --no-serve");
    assert_eq!((code, told.contains("another demo runs")), (Some(1), true), "{told}");
    assert!(desk.0.path().join("data/demo/candlecast.db").exists(), "the other one's files were taken away");
}

#[test]
fn every_option_of_reading_is_a_flag() {
    let desk = Desk::new();
    let help = desk.ok("ingest --help");
    let options = serde_json::to_value(candlecast::ingest::ReadOptions::default()).expect("plain data");
    for option in options.as_object().expect("fields").keys() {
        assert!(help.contains(&format!("--{}", option.replace('_', "-"))), "{option}: {help}");
    }
    std::fs::write(desk.0.path().join("A.csv"), "d;o;h;l;c\n02/01/2024;1;2;1;2\n").expect("written");
    let line = "inspect A.csv --columns date,open,high,low,close --date-format %d/%m/%Y";
    assert_eq!(desk.json(line)["dialect"]["date_format"], "%d/%m/%Y");
    assert_eq!(desk.refused("inspect A.csv --resample 1w").0, Some(2));
}

#[test]
fn a_folder_is_scored_as_one_table_and_a_bad_file_costs_itself_only() {
    let desk = Desk::new();
    desk.ok("generate --tickers 2 --bars 620 --last 2026-03-06 --folder prices");
    std::fs::write(desk.0.path().join("prices/NOTES.csv"), "not,prices\n").expect("written");
    let line =
        "evaluate prices --models naive,har,network+online --with preset=fast --csv table.csv --markdown table.md";
    let done = desk.run(line);
    let (told, shown) = (String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(&done.stdout));
    assert!(done.status.success() && told.contains("left out: prices/NOTES.csv: "), "{told}");
    let read = |name: &str| std::fs::read_to_string(desk.0.path().join(name)).expect("written");
    let (csv, markdown) = (read("table.csv"), read("table.md"));
    assert!(shown.starts_with(&markdown) && shown.contains("2 tickers, the last 250 sessions"), "{shown}");
    let models: Vec<&str> = csv.lines().filter_map(|line| line.split(',').next()).collect();
    assert_eq!(models, ["model", "naive", "har", "network+online"]);

    // Too few for GARCH: it counts for nobody, and that is told.
    desk.ok("generate --tickers 1 --bars 400 --last 2026-03-06 --folder young");
    let (code, told) = desk.refused("evaluate young --models naive,garch");
    assert!(
        code == Some(1) && told.contains("left out: young/SYN0001.csv: ") && told.contains("without garch in --models"),
        "{told}"
    );

    // Four times the price up to the middle: a split that nobody applied.
    let split: Vec<String> = read("prices/SYN0002.csv")
        .lines()
        .enumerate()
        .map(|(idx, line)| match line.split(',').collect::<Vec<_>>().as_slice() {
            [ticker, date, prices @ .., volume] if (1..310).contains(&idx) => {
                let times_four = |price: &&str| (price.parse::<f64>().expect("a price") * 4.0).to_string();
                let prices: Vec<String> = prices.iter().map(times_four).collect();
                format!("{ticker},{date},{},{volume}", prices.join(","))
            }
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(desk.0.path().join("prices/SYN0002.csv"), split.join("\n")).expect("written");
    let json = desk.json("evaluate prices --models naive,har --jobs 1");
    assert_eq!(
        (&json["notes"][0]["file"], &json["notes"][0]["code"]),
        (&"prices/SYN0002.csv".into(), &"split_suspected".into())
    );
    assert_eq!((&json["rows"][0]["n_tickers"], &json["rows"][0]["rmse_ratio_to_naive"]), (&2.into(), &1.0.into()));
    assert_eq!(
        (&json["tickers"][1]["ticker"], &json["left_out"][0]["file"]),
        (&"SYN0002".into(), &"prices/NOTES.csv".into())
    );
    assert_eq!(desk.refused("evaluate prices --models best").0, Some(2));
    assert_eq!(desk.refused("evaluate prices/NOTES.csv").0, Some(1));
}

#[test]
fn an_earlier_stretch_is_scored_as_if_its_last_day_were_today() {
    let desk = Desk::new();
    desk.ok("generate --tickers 1 --bars 620 --last 2026-03-06 --folder prices");
    let text = std::fs::read_to_string(desk.0.path().join("prices/SYN0001.csv")).expect("written");
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(desk.0.path().join("CUT.csv"), lines[..lines.len() - 40].join("\n")).expect("written");
    let rows = |line: &str| {
        let mut rows = desk.json(line)["rows"].take();
        rows.as_array_mut().expect("rows").iter_mut().for_each(|row| row["seconds"] = 0.into());
        rows
    };
    let before = rows("evaluate prices --models naive,har --before 40");
    assert_eq!(before, rows("evaluate CUT.csv --models naive,har"));
    assert_ne!(before, rows("evaluate prices --models naive,har"));
    assert!(
        desk.ok("evaluate prices --models naive --before 40").contains("250 sessions of each before its newest 40")
    );
    assert_eq!(desk.refused("evaluate prices --models naive --before 600").0, Some(1));
}

#[test]
fn a_walk_through_the_past_is_a_table_and_a_verdict() {
    let desk = Desk::new();
    desk.ok("generate --tickers 1 --bars 420 --last 2026-03-06 --folder prices");
    desk.ok("ingest prices --no-train");
    // Metal is on no machine that builds for CUDA, and the other way round.
    let device = if cfg!(feature = "metal") { "cuda" } else { "metal" };
    for command in ["train SYN0001", "backtest SYN0001 --preset fast"] {
        let (_, text) = desk.refused(&format!("{command} --set worker.device={device}"));
        assert!(text.contains(&format!("--features {device}")), "{text}");
    }
    assert_eq!(desk.json("jobs")["jobs"], json!([]), "what cannot be run is not queued");
    let run = "backtest SYN0001 --folds 2 --fold-bars 10 --baselines naive,har --preset fast --with horizon=1";
    let shown = desk.ok(&format!("{run} --csv points.csv"));
    assert!(shown.contains("network+online") && shown.contains("No evidence that the point forecast"), "{shown}");
    assert!(shown.contains("Nonsense put after a day changed no forecast"), "{shown}");
    let csv = std::fs::read_to_string(desk.0.path().join("points.csv")).expect("written");
    assert_eq!(csv.lines().count(), 1 + 3 * 2 * 10);
    let id = shown.trim_end().rsplit_once("kept as ").expect("an id").1;
    assert_eq!(desk.ok(&format!("backtest SYN0001 --show {id}")), shown);
    assert!(desk.refused("backtest SYN0001 --show 7").1.contains("no report 7 of SYN0001 is kept"));
    let report = desk.json(&format!("{run} --no-refit --rolling"));
    assert_eq!((&report["settings"]["refit"], &report["settings"]["window"]), (&false.into(), &"rolling".into()));
    let (code, text) = desk.refused("backtest SYN0001 --folds 51");
    assert_eq!((code, text.as_str()), (Some(1), "error: folds 51 is outside 1 to 50"));
}

#[test]
fn a_training_with_a_config_of_its_own_is_run_after_the_one_that_ingest_queued() {
    let desk = Desk::new();
    desk.ok("generate --tickers 1 --bars 300 --last 2026-03-06 --folder prices");
    desk.ok("ingest prices");
    let shown = desk.json("train SYN0001 --preset fast --horizon 3");
    assert_eq!(shown["jobs"].as_array().map(Vec::len), Some(2), "{shown}");
    let models = desk.json("models SYN0001");
    let horizons: Vec<&Value> =
        models["models"].as_array().expect("two").iter().map(|m| &m["manifest"]["spec"]["config"]["horizon"]).collect();
    assert_eq!(horizons, [&json!(3), &json!(5)], "newest first");
}

#[test]
fn a_failure_is_one_line_with_what_to_do() {
    let desk = Desk::new();
    let (code, text) = desk.refused("train AAPL");
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "error: no bars of AAPL are stored: candlecast ingest FILE.csv, or candlecast tickers for what there is"
    );
    let (code, text) = desk.refused("train AAPL --json");
    let machine: Value = serde_json::from_str(&text).expect("one line of JSON");
    assert_eq!((code, machine["error"].as_str().is_some_and(|text| text.starts_with("no bars"))), (Some(1), true));
    let (code, text) = desk.refused("ingest nowhere.csv");
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
    let (code, text) = desk.refused("worker --set worker.device=gpu");
    assert_eq!((code, text.contains("cpu, cuda, cuda:1, metal")), (Some(1), true), "{text}");
    let (code, text) = desk.refused("tickers --set http.lisen=x");
    assert_eq!((code, text.contains("did you mean `http.listen`?")), (Some(1), true), "{text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let (code, text) = desk.refused(&format!("serve --listen {address} --log error"));
    let told = (text.matches("in use").count(), text.contains(&address.to_string()));
    assert_eq!((code, told), (Some(1), (1, true)), "{text}");
    assert!(text.ends_with(", or any free one with --listen 127.0.0.1:0"), "{text}");
    assert_eq!(desk.refused("forecasts AAPL").0, Some(2));
    assert_eq!(desk.refused("forecast AAPL --horizon 21").0, Some(2));
    let key = "0123456789-0123456789-0123456789-0123456789";
    let shown = desk.ok(&format!("config --set auth.bootstrap_key={key}"));
    assert!(shown.contains("***") && !shown.contains(key), "a secret is not printed: {shown}");
    for line in ["backtest AAPL --with preset=fst", "train AAPL --preset fst", "evaluate . --with preset=fst"] {
        let (_, text) = desk.refused(line);
        assert_eq!(text, "error: there is no preset \"fst\": expected one of default, tutorial, fast", "{line}");
    }
    std::fs::write(desk.0.path().join("A.csv"), "Date,Open,High,Low,Close\n03/04/2024,1,2,1,2\n").expect("a file");
    for line in ["inspect A.csv", "ingest A.csv", "evaluate A.csv", "demo A.csv --listen 127.0.0.1:0"] {
        let done = desk.run(line);
        let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(text.contains("(--date-format=%d/%m/%Y)") && text.contains("pass --date-format"), "{line}: {text}");
    }
}

#[test]
fn a_cutoff_is_all_of_its_day_also_within_a_day() {
    let desk = Desk::new();
    let mut csv = "datetime,open,high,low,close\n".to_owned();
    for day in 1..=20 {
        for hour in 0..24 {
            let price = 100.0 + f64::from((day * 24 + hour) % 7);
            csv += &format!("2024-01-{day:02} {hour:02}:00:00,{price},{},{},{price}\n", price + 1.0, price - 1.0);
        }
    }
    std::fs::write(desk.0.path().join("HOURS.csv"), csv).expect("written");
    desk.ok("ingest HOURS.csv --no-train --calendar 24/7");
    let as_of = |cutoff: &str| {
        let told = desk.json(&format!("forecast HOURS --model naive --as-of {cutoff}"));
        told["forecasts"][0]["as_of"].as_str().expect("a time").to_owned()
    };
    assert_eq!(as_of("2024-01-18"), "2024-01-18T23:00:00Z");
    assert_eq!(as_of("2024-01-18T10:30:00Z"), "2024-01-18T10:00:00Z");
    assert_eq!(desk.refused("forecast HOURS --as-of yesterday").0, Some(2));
}

#[test]
fn revoking_the_last_key_is_told() {
    let desk = Desk::new();
    let ids: Vec<String> = ["one", "two"]
        .map(|name| desk.json(&format!("keys create --name {name}"))["id"].as_str().expect("an id").to_owned())
        .into();
    assert!(!desk.ok(&format!("keys revoke {}", ids[0])).contains("the last one"));
    let told = desk.ok(&format!("keys revoke {}", ids[1]));
    assert!(told.contains("the last one") && told.contains("candlecast keys create"), "{told}");
}

#[test]
fn a_key_file_is_made_once_and_read_by_its_owner_only() {
    let desk = Desk::new();
    desk.ok("keys create --name first --output key");
    let key = std::fs::read_to_string(desk.0.path().join("key")).expect("a key");
    desk.ok("keys create --name second --output key");
    assert_eq!(std::fs::read_to_string(desk.0.path().join("key")).expect("the same key"), key);
    assert_eq!(desk.json("keys list")["keys"].as_array().expect("keys").len(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(desk.0.path().join("key")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
