//! What stands in the document.

use std::collections::BTreeSet;

use roadshow_gateway::{Preface, SecurityScheme, openapi};
use roadshow_services::NodeBuilder;
use serde_json::{Value, json};

use crate::shop::{both, both_as_json, contracts, shop, shop_2};

#[test]
fn everything_that_can_be_declared_is_described() {
    insta::assert_snapshot!("shop", both().to_yaml());
}

#[test]
fn the_order_of_services_changes_nothing() {
    let other = NodeBuilder::default().service(shop_2()).service(shop());
    let other = openapi(&Preface::new("Shop", "1.2.3"), &contracts(&other));
    assert_eq!(other.to_json(), both().to_json());
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_there_without_one() {
    let document = both_as_json();
    let mut references = BTreeSet::new();
    gather(&document, &mut references);
    for reference in &references {
        let at = reference.strip_prefix('#').expect("references stay in the document");
        assert!(document.pointer(at).is_some(), "{reference}");
    }
    let components = document["components"].as_object().expect("components");
    for (section, parts) in components {
        for name in parts.as_object().expect("named parts").keys() {
            let known = references.contains(&format!("#/components/{section}/{name}"));
            assert!(known || section == "securitySchemes", "{section}/{name}");
        }
    }
}

fn gather(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| gather(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        _ => {}
    }
}

#[test]
fn two_types_of_one_name_have_two_names() {
    let document = both_as_json();
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let names: Vec<&str> = schemas.keys().map(String::as_str).collect();
    for name in ["Order", "shop.2.Order", "Problem", "shop.2.Problem", "Basket", "Line"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(
        schemas["Basket"]["properties"]["last"]["anyOf"][0]["$ref"],
        "#/components/schemas/shop.2.Order"
    );
    // Also where a field has the name of a word of schemas.
    let complain = schemas["Complain"]["properties"].as_object().expect("fields");
    assert_eq!(complain["about"]["$ref"], "#/components/schemas/shop.2.Problem");
    assert_eq!(complain["example"]["anyOf"][0]["$ref"], "#/components/schemas/Basket");
    let reply = &document["paths"]["/api/v2/orders/{id}"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(reply["schema"]["$ref"], "#/components/schemas/shop.2.Order");
}

#[test]
fn one_path_has_one_template_whatever_its_commands_call_the_segments() {
    let document = both_as_json();
    let paths: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    assert_eq!(paths.len(), 9, "{paths:?}");
    let orders = &document["paths"]["/api/v1/orders/{id}"];
    for method in ["get", "patch", "delete"] {
        assert_eq!(orders[method]["parameters"][0]["name"], "id", "{method}");
    }
    let patch = &orders["patch"];
    // The body has the rest of the fields, and can be left out, because none of them must be there.
    let body = &patch["requestBody"];
    let fields: Vec<&str> = body["content"]["application/json"]["schema"]["properties"]
        .as_object()
        .expect("fields")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!((fields, &body["required"]), (vec!["lines", "speed"], &json!(false)));
}

#[test]
fn replies_of_nothing_and_of_something_have_their_statuses() {
    let document = both_as_json();
    let statuses = |path: &str, method: &str| {
        let responses = document["paths"][path][method]["responses"]
            .as_object()
            .expect("responses");
        let good: Vec<String> = responses
            .keys()
            .filter(|status| status.starts_with('2'))
            .cloned()
            .collect();
        good.join(" ")
    };
    assert_eq!(statuses("/api/v1/orders", "post"), "201");
    assert_eq!(statuses("/api/v1/orders/{id}", "get"), "200 204");
    assert_eq!(statuses("/api/v1/orders/{id}", "delete"), "204");
    assert_eq!(statuses("/api/v1/ping", "post"), "202");
}

#[test]
fn a_stream_is_a_list_or_events_and_says_what_it_is_too_long_for() {
    let document = both_as_json();
    let responses = &document["paths"]["/api/v1/orders/{id}/moves"]["get"]["responses"];
    let responses = if responses.is_null() {
        &document["paths"]["/api/v1/orders/{number}/moves"]["get"]["responses"]
    } else {
        responses
    };
    let content = &responses["200"]["content"];
    assert_eq!(content["application/json"]["schema"]["type"], "array");
    assert_eq!(
        content["application/json"]["schema"]["items"]["$ref"],
        "#/components/schemas/Moved"
    );
    assert_eq!(
        content["application/json"]["examples"]["example_1"]["value"],
        json!([{"number": 7, "place": "the door"}])
    );
    assert_eq!(content["text/event-stream"]["schema"]["type"], "string");
    let reference = |name: &str| json!({"$ref": format!("#/components/responses/{name}")});
    assert_eq!(responses["413"], reference("StreamTooLong"));
    assert_eq!(responses["406"], reference("NoStreamAcceptable"));
    let with_body = &document["paths"]["/api/v1/replays"]["post"]["responses"]["413"];
    assert_eq!(*with_body, reference("BodyOrStreamTooLong"));
}

#[test]
fn closed_routes_carry_the_scheme_of_the_hook() {
    let schemes = [
        (SecurityScheme::default(), "bearer", "http"),
        (
            SecurityScheme::ApiKey {
                header: "x-key".to_owned(),
            },
            "api_key",
            "apiKey",
        ),
        (SecurityScheme::Basic, "basic", "http"),
        (
            SecurityScheme::OpenIdConnect {
                url: "https://id.example/.well-known/openid-configuration".to_owned(),
            },
            "open_id_connect",
            "openIdConnect",
        ),
    ];
    let contracts = contracts(&NodeBuilder::default().service(shop()));
    for (scheme, name, kind) in schemes {
        let mut info = Preface::new("Shop", "1");
        info.security = scheme;
        let document: Value = serde_json::from_str(&openapi(&info, &contracts).to_json()).expect("it is JSON");
        assert_eq!(document["components"]["securitySchemes"][name]["type"], kind);
        let paths = &document["paths"];
        assert_eq!(paths["/api/v1/orders"]["post"]["security"], json!([{ name: [] }]));
        assert_eq!(paths["/api/v1/ping"]["post"]["security"], json!([]));
    }
}

#[test]
fn operations_are_named_by_their_address() {
    let document = both_as_json();
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("operations").values() {
            let id = operation["operationId"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} twice");
        }
    }
    assert!(ids.contains("shop.2.get_order") && ids.len() == 11, "{ids:?}");
}
