//! Every topology, cell and truncation that a config can ask for, from a request to a forecast.

use axum::http::StatusCode;
use candlecast::jobs::Runner;
use serde_json::json;

use crate::support::app::{TestApp, csv};

#[tokio::test(flavor = "multi_thread")]
async fn every_topology_is_trained_and_served_by_config() {
    let app = TestApp::new().await;
    let runner = Runner::new(app.app.clone()).expect("a processor");
    let asked = [
        ("one_to_one", "lstm", None),
        ("one_to_many", "gru", None),
        ("many_to_one", "lstm", Some(4)),
        ("many_to_one", "rnn", None),
        ("many_to_many", "lstm", Some(4)),
        ("many_to_many_aligned", "gru", Some(3)),
        ("many_to_many_aligned", "lstm", None),
    ];
    let mut medians = Vec::new();
    for (idx, (topology, cell, tbptt_steps)) in asked.into_iter().enumerate() {
        let name = format!("T{idx}");
        let sent = app.post_csv(&format!("/v1/tickers/{name}/bars?train=never"), csv(1000)).await;
        assert_eq!(sent.status, StatusCode::OK, "{}", sent.text());
        let config = json!({"preset": "fast", "ensemble": 2, "topology": topology, "cell": cell, "tbptt_steps": tbptt_steps, "learning_rate": 0.01, "epochs": 20, "patience": 20});
        let queued = app.post_json(&format!("/v1/tickers/{name}/models"), &config.to_string()).await;
        assert_eq!(queued.status, StatusCode::ACCEPTED, "{}", queued.text());
        assert!(runner.run_one().await.expect("the queue answers"));
        let job = app.get(&format!("/v1/jobs/{}", queued.json()["id"].as_str().expect("an id"))).await.json();
        assert_eq!(job["state"], "succeeded", "{topology} {cell}: {job}");

        let model = app.get(&format!("/v1/tickers/{name}/models")).await.json()["models"][0].clone();
        assert_eq!((&model["config"]["topology"], &model["champion"]), (&json!(topology), &json!(true)));
        assert_eq!(model["config"]["tbptt_steps"], json!(tbptt_steps));
        let trust = model["metrics"]["network_trust"].as_array().expect("one a step");
        assert!(trust.iter().any(|share| share.as_f64() > Some(0.0)), "{topology} {cell}: {model}");
        let forecast = app.get(&format!("/v1/tickers/{name}/forecast?horizon=5&model=champion")).await;
        assert_eq!(forecast.status, StatusCode::OK, "{topology} {cell}: {}", forecast.text());
        let forecast = forecast.json();
        let steps = forecast["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), 5, "{topology}");
        for step in steps {
            let quantiles: Vec<f64> = step["quantiles"]
                .as_array()
                .expect("quantiles")
                .iter()
                .map(|entry| entry["close"].as_f64().expect("a price"))
                .collect();
            assert!(
                !quantiles.is_empty() && quantiles.windows(2).all(|pair| pair[0] <= pair[1]),
                "{topology}: {quantiles:?}"
            );
        }
        medians.push(steps[4]["quantiles"].to_string());
    }
    medians.sort();
    medians.dedup();
    assert_eq!(medians.len(), 7, "seven networks on the same bars say seven different things");
}
