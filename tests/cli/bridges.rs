//! Client commands over a bridge: the same words and exit codes as with `--node`, over a broker of the test's own.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use roadshow_conformance::broker::{Broker, BrokerKind};
use serde_json::{Value, json};

use crate::ledger::Ledger;
use crate::program::{Ended, Program};
use crate::{Up, binary, run};

/// How long a command may take that reaches nobody.
const GIVE_UP_MAX: Duration = Duration::from_secs(8);

/// A broker, and what keeps it.
struct Stage {
    broker: Broker,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new(kind: BrokerKind) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let broker = runtime.block_on(Broker::start(kind)).expect("the broker starts");
        Self { broker, runtime }
    }

    fn up(&self, flags: &[&str]) -> Up {
        let url = self.broker.url();
        Up::new(
            &[
                &["--event-bridge", &url, "--namespace", "tour", "--log-filter", "off"],
                flags,
            ]
            .concat(),
        )
    }

    /// A client command over the bridge.
    fn client(&self, args: &[&str]) -> Ended {
        let url = self.broker.url();
        run(&[args, &["--event-bridge", &url, "--namespace", "tour"]].concat())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _in_runtime = self.runtime.enter();
        self.broker.kill();
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn talk(kind: BrokerKind) {
    const ADA: &str = r#"{"name":"Ada","email":"ada@example.org"}"#;
    let stage = Stage::new(kind);
    let ledger = Ledger::new(&format!("bridge-{kind:?}"));
    let up = stage.up(&["--services", "user,probe", "--probe", ledger.path()]);
    let created = stage.client(&["call", "user.1.create_user", ADA]);
    assert_eq!((created.code, created.err.as_str()), (Some(0), ""), "{created:?}");
    let id = json_of(&created.out)["id"].as_str().expect("an id").to_owned();
    let read = stage.client(&["call", "user.1.get_user", &json!({"id": id}).to_string()]);
    assert_eq!(json_of(&read.out), json_of(&created.out));

    for args in [
        ["call", "user.1.create_user", ADA],
        ["call", "user.1.create_user", r#"{"name":7}"#],
        ["call", "user.1.nothing", "{}"],
        ["call", "nobody.1.nothing", "{}"],
        ["stream", "probe.1.count", r#"{"n":"x"}"#],
        ["stream", "probe.1.nothing", "{}"],
    ] {
        let (far, near) = (stage.client(&args), up.client(&args));
        assert_eq!((far.code, far.out.as_str()), (Some(1), ""), "{args:?}: {far:?}");
        let (far, near) = (json_of(&far.err), json_of(&near.err));
        for member in ["type", "title", "status", "code", "executed"] {
            assert_eq!(far[member], near[member], "{args:?}: {member} of {far} and {near}");
        }
    }
    let slow = r#"{"id":"slow","sleep_ms":20000}"#;
    let late = stage.client(&["call", "probe.1.run", slow, "--timeout", "300ms"]);
    assert_eq!(late.code, Some(1), "{late:?}");
    assert_eq!(json_of(&late.err)["code"], "timeout");

    let emitted = stage.client(&["emit", "probe.event", r#"{"id":"e1"}"#]);
    assert_eq!(
        (emitted.code, emitted.out.as_str(), emitted.err.as_str()),
        (Some(0), "", "")
    );
    ledger.shows(r#""id":"e1","kind":"event","phase":"end""#);

    let counted = stage.client(&["stream", "probe.1.count", r#"{"id":"s1","n":3}"#]);
    let lines = "{\"number\":1}\n{\"number\":2}\n{\"number\":3}";
    assert_eq!(
        (counted.code, counted.out.as_str(), counted.err.as_str()),
        (Some(0), lines, "")
    );
    cancels(&stage, &ledger);
    drop(up);
}

/// A stream over the bridge that somebody interrupts.
fn cancels(stage: &Stage, ledger: &Ledger) {
    let url = stage.broker.url();
    let endless = r#"{"id":"endless","n":100000,"every_ms":20}"#;
    let args = [
        "stream",
        "probe.1.count",
        endless,
        "--event-bridge",
        &url,
        "--namespace",
        "tour",
    ];
    let mut streaming = Program::start(&binary(), &args);
    streaming.prints("{\"number\":2}");
    streaming.signal("INT");
    let ended = streaming.end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(130), ""), "{ended:?}");
    ledger.shows(r#""id":"endless","kind":"stream","phase":"end""#);
}

#[test]
fn a_system_answers_over_nats_as_its_nodes_do() {
    talk(BrokerKind::Nats);
}

#[test]
fn a_system_answers_over_rabbitmq_as_its_nodes_do() {
    talk(BrokerKind::Rabbit);
}

#[test]
fn a_system_answers_over_mqtt_as_its_nodes_do() {
    talk(BrokerKind::Mosquitto);
}

#[test]
fn a_broker_that_is_not_there_is_named_by_host_and_port_and_without_its_password() {
    // Bound and let go: nobody listens there now.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let at = free.expect("a free port").to_string();
    for scheme in ["nats", "amqp", "mqtt"] {
        let url = format!("{scheme}://ada:hunter2@{at}");
        for args in [
            ["call", "user.1.get_user", "{}"],
            ["emit", "user.created", "{}"],
            ["stream", "a.1.b", "{}"],
        ] {
            let begun = Instant::now();
            let ended = run(&[&args[..], &["--event-bridge", &url]].concat());
            assert!(begun.elapsed() < GIVE_UP_MAX, "{scheme}: {:?}", begun.elapsed());
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{scheme}: {ended:?}");
            let problem = json_of(&ended.err);
            assert_eq!(
                (&problem["code"], &problem["executed"]),
                (&json!("unavailable"), &json!("no")),
                "{problem}"
            );
            assert!(
                problem["message"].as_str().is_some_and(|text| text.contains(&at)),
                "{problem}"
            );
            assert!(!ended.err.contains("hunter2"), "{problem}");
        }
    }
}

#[test]
fn what_cannot_be_reached_over_a_bridge_is_wrong_usage() {
    let table: &[(&[&str], &str)] = &[
        (
            &["call", "a.1.b", "{}", "--event-bridge", "redis://h"],
            "no adapter for redis:",
        ),
        (&["call", "a.1.b", "{}", "--event-bridge", "h:4222"], "--event-bridge"),
        (
            &[
                "call",
                "a.1.b",
                "{}",
                "--event-bridge",
                "nats://h",
                "--namespace",
                "a.b",
            ],
            "--namespace",
        ),
        (&["tree", "--event-bridge", "nats://u:hunter2@h"], "--node URL"),
        (&["bench", "--rows", "call"], "--event-bridge URL"),
        (&["bench", "--event-bridge", "redis://h"], "no adapter for redis:"),
    ];
    for (args, expected) in table {
        let ended = run(args);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{args:?}: {ended:?}");
        assert!(
            ended.err.contains(expected) && !ended.err.contains("hunter2"),
            "{args:?}: {}",
            ended.err
        );
    }
    let given = |args: &[&str], variables: &[(&str, &str)]| Program::start_with(&binary(), args, variables, "").end();
    let password = given(
        &["call", "a.1.b", "{}", "--event-bridge", "nats://h"],
        &[("ROADSHOW_BRIDGE__PASSWORD", "hunter2")],
    );
    assert_eq!(password.code, Some(2), "{password:?}");
    assert!(
        password.err.contains("bridge.password from ROADSHOW_BRIDGE__PASSWORD") && !password.err.contains("hunter2"),
        "{password:?}"
    );
}

#[test]
fn the_variables_of_up_lead_clients_too_and_a_node_that_is_named_beats_them() {
    let stage = Stage::new(BrokerKind::Nats);
    let up = stage.up(&["--services", "user"]);
    let url = stage.broker.url();
    let variables = [("ROADSHOW_EVENT_BRIDGE", url.as_str()), ("ROADSHOW_NAMESPACE", "tour")];
    let call = |more: &[&str], variables: &[(&str, &str)]| {
        let args = [&["call", "user.1.get_user", r#"{"id":"x"}"#], more].concat();
        let ended = Program::start_with(&binary(), &args, variables, "").end();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        json_of(&ended.err)["code"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(call(&[], &variables), "not_found");
    assert_eq!(
        call(&["--namespace", "elsewhere"], &variables),
        "unavailable",
        "nobody is there"
    );
    let elsewhere = [("ROADSHOW_EVENT_BRIDGE", "nats://127.0.0.1:1")];
    assert_eq!(call(&["--node", &up.url()], &elsewhere), "not_found");
    drop(up);
}

#[test]
fn doctor_asks_a_broker_and_tells_what_it_keeps() {
    for (kind, name) in [(BrokerKind::Nats, "nats"), (BrokerKind::Mosquitto, "mqtt")] {
        let stage = Stage::new(kind);
        let url = stage.broker.url();
        let ended = run(&["doctor", "--event-bridge", &url, "--http", "127.0.0.1:0", "--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let document = json_of(&ended.out);
        let findings = document["findings"].as_array().expect("findings");
        let told = |subject: &str| {
            let finding = findings.iter().find(|finding| finding["subject"] == subject);
            finding.unwrap_or_else(|| panic!("{subject} in {findings:?}"))
        };
        assert_eq!(told("event_bridge")["level"], "ok");
        let facts = told(name)["message"].as_str().expect("words").to_owned();
        assert!(facts.contains("keeps events for absent subscribers"), "{facts}");
        assert!(facts.contains("no commands: what finds no room is refused"), "{facts}");
    }
}

#[test]
fn a_bench_over_a_bridge_measures_beside_its_client_library() {
    let stage = Stage::new(BrokerKind::Nats);
    let ended = stage.client(&[
        "bench",
        "--rows",
        "call,durable_event,event",
        "--seconds",
        "1",
        "--json",
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = json_of(&ended.out);
    let rows = document["rows"].as_array().expect("rows");
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(names, ["call", "call", "durable_event", "event", "event"]);
    for row in rows {
        assert_eq!(
            (&row["bridge"], &row["baseline"]),
            (&json!("nats"), &json!("bare_client"))
        );
        for member in ["per_second", "p50_ns", "p99_ns", "baseline_per_second", "ratio"] {
            assert!(
                row[member].as_f64().is_some_and(|number| number > 0.0),
                "{member} in {row}"
            );
        }
    }
    let in_flight: Vec<_> = rows.iter().map(|row| row["in_flight"].as_u64()).collect();
    assert_eq!(in_flight, [1, 64, 64, 64, 64].map(Some));
    assert_eq!(rows[4]["subscribers"], 4);
}

#[test]
fn a_bench_over_mqtt_tells_plain_subscribers_what_no_durable_group_has_to_settle_and_runs_twice() {
    let stage = Stage::new(BrokerKind::Mosquitto);
    // Kept for a group that nobody acknowledges for, fewer events than a row tells would fill it.
    let url = format!("{}?outbox_messages_max=512", stage.broker.url());
    for time in ["first", "second"] {
        let rows = "durable_event,event";
        let ended = run(&[
            "bench",
            "--event-bridge",
            &url,
            "--rows",
            rows,
            "--seconds",
            "1",
            "--json",
        ]);
        assert_eq!(ended.code, Some(0), "the {time} time: {ended:?}");
        let document = json_of(&ended.out);
        assert_eq!(document["rows"].as_array().map(Vec::len), Some(3), "{document}");
    }
}
