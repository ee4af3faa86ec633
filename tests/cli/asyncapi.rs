//! `asyncapi`: the document of the demo, and what it must never say.

use serde_json::Value;

use crate::run;

const BROKER: &str = "nats://ada:hunter2@broker.example:4222";

fn document(args: &[&str]) -> Value {
    let ended = run(&[&["asyncapi"], args].concat());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
    assert!(!ended.out.contains("hunter2"), "{}", ended.out);
    serde_json::from_str(&ended.out).expect("JSON")
}

#[test]
fn yaml_says_the_same_as_json() {
    let json = document(&["--event-bridge", BROKER]);
    let yaml = run(&["asyncapi", "--yaml", "--event-bridge", BROKER]);
    assert_eq!((yaml.code, yaml.err.as_str()), (Some(0), ""), "{yaml:?}");
    assert!(
        yaml.out.starts_with("asyncapi: \"3.0.0\"\ninfo:\n  title: roadshow\n"),
        "{}",
        yaml.out
    );
    for channel in json["channels"].as_object().expect("channels").keys() {
        assert!(
            yaml.out.contains(&format!("\n  {channel}:\n")),
            "{channel} in {}",
            yaml.out
        );
    }
    assert!(!yaml.out.contains("hunter2"), "{}", yaml.out);
}

#[test]
fn addresses_are_those_of_the_wire() {
    let nats = document(&["--event-bridge", BROKER, "--namespace", "shop"]);
    let address = |document: &Value, channel: &str| document["channels"][channel]["address"].clone();
    assert_eq!(address(&nats, "user.1.create_user"), "shop.cmd.user.1.create_user");
    assert_eq!(address(&nats, "user.created"), "shop.evt.user.created");
    assert_eq!(address(&nats, "dead.email.1.welcome"), "shop.dead.email.1.welcome");
    assert_eq!(address(&nats, "user.1.create_user.reply"), Value::Null);
    assert_eq!(nats["servers"]["event_bridge"]["host"], "broker.example:4222");
    let operation = &nats["operations"]["user.1.create_user"];
    assert_eq!(operation["action"], "receive");
    assert_eq!(
        operation["reply"]["channel"]["$ref"],
        "#/channels/user.1.create_user.reply"
    );
    assert_eq!(nats["operations"]["user.1.emit.user.created"]["action"], "send");
    assert_eq!(nats["operations"]["email.1.on.welcome"]["x-group"], "email=1=welcome");

    let mqtt = document(&["--event-bridge", "mqtt://broker.example"]);
    assert_eq!(address(&mqtt, "user.1.create_user"), "roadshow/cmd/user/1/create_user");
    let amqp = document(&["--event-bridge", "amqp://broker.example", "--namespace", "shop"]);
    let exchange = &amqp["channels"]["user.created"]["bindings"]["amqp"]["exchange"];
    assert_eq!(
        (&exchange["name"], &exchange["type"]),
        (&"shop".into(), &"topic".into())
    );
    assert!(document(&[]).get("servers").is_none(), "memory: has no server");
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document(&["--event-bridge", BROKER]);
    let mut open = vec![&document];
    let mut references = 0;
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref") {
                    references += 1;
                    let reference = reference.as_str().expect("a text");
                    let pointer = reference.strip_prefix('#').expect("in this document");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(references > 20, "{references}");
}

#[test]
fn it_describes_what_up_would_start_and_writes_where_it_is_told() {
    let user = document(&["--services", "user"]);
    assert!(user["channels"].get("email.1.send_welcome").is_none(), "{user}");
    let file = std::env::temp_dir().join(format!("roadshow-asyncapi-{}.json", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    let ended = run(&["asyncapi", "--services", "user", "--out", path]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""));
    let written: Value = serde_json::from_slice(&std::fs::read(&file).expect("a file")).expect("JSON");
    assert_eq!(written, user);
    std::fs::remove_file(&file).expect("removed");
    let ended = run(&["asyncapi", "--out", "/no/such/folder/a.json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("/no/such/folder/a.json"), "{}", ended.err);
    let ended = run(&["asyncapi", "--services", "usr"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
}
