//! What programs record through `event!`, `tracing` and `log`, as `dump --fields` shows it.

use crate::etlring;
use etlring::bridge::{self, log::Logger};
use etlring::provider::Enable;
use etlring::session::Session;
use etlring::tracelogging::Level;
use etlring::{event, provider};
use log::Log;
use serde_json::{Value, json};
use tracing::field::Empty;
use tracing_subscriber::layer::SubscriberExt;

provider!(Shop = "Test-Shop");

#[test]
fn names_types_and_nesting() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.etl");
    let logger = Logger::new(Shop::NAME);
    let session = Session::builder("shop").log_file(&path);
    let guard = bridge::record(session, Shop::NAME, &Enable::new().level(5)).unwrap();
    let subscriber = tracing_subscriber::registry().with(bridge::tracing::layer(Shop::NAME));
    tracing::subscriber::with_default(subscriber, || {
        let order = tracing::info_span!("order", id = u64::MAX, paid = Empty);
        let _entered = order.enter();
        tracing::info_span!("cup", size = 0.25).in_scope(|| {
            tracing::debug!(name: "poured", hot = true, big = i128::MIN, kind = ?Some("black"));
        });
        order.record("paid", true);
    });
    event!(Shop, Level::WARNING, "Closed", { keyword: 0x4 }, till: i32 = -5, by: &str = "Ada");
    let pairs = [("n", 1)];
    let mut record = log::Record::builder();
    record.target("shop::door").level(log::Level::Error).key_values(&pairs);
    logger.log(&record.args(format_args!("locked {}", "twice")).build());
    guard.stop().unwrap();

    let file = path.to_str().unwrap();
    let output = etlring(&["dump", "--format", "jsonl", "--fields", "--order", "time", file]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["provider_name"] == "Test-Shop")
        .collect();
    let told: Vec<_> = events
        .iter()
        .map(|event| json!([event["name"], event["level"], event["opcode"], event["fields"]]))
        .collect();
    let expected = [
        json!(["order", 4, 1, { "id": u64::MAX }]),
        json!(["cup", 4, 1, { "size": 0.25 }]),
        json!(["poured", 5, 0, {
            "hot": true,
            "big": "-170141183460469231731687303715884105728",
            "kind": "Some(\"black\")"
        }]),
        json!(["cup", 4, 2, {}]),
        json!(["order", 4, 0, { "paid": true }]),
        json!(["order", 4, 2, {}]),
        json!(["Closed", 3, 0, { "till": -5, "by": "Ada" }]),
        json!(["shop::door", 2, 0, { "message": "locked twice", "n": 1 }]),
    ];
    assert_eq!(told, expected);
    let [order, cup, poured] = [0, 1, 2].map(|at| &events[at]);
    assert_eq!(cup["related"], order["activity"]);
    assert_eq!(poured["activity"], cup["activity"]);
    assert_eq!(order["related"], Value::Null);
    assert_eq!(events[6]["keyword"], "0x4");
}
