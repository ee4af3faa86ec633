//! The document as YAML, read by somebody else's parser.

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use crate::shop::{both, both_as_json};

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = YamlLoader::load_from_str(&both().to_yaml()).expect("it is YAML");
    let [document] = yaml.as_slice() else {
        panic!("one document, not {}", yaml.len());
    };
    assert_eq!(as_json(document), both_as_json());
}

fn as_json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(members) => {
            let member = |(name, value): (&Yaml, &Yaml)| {
                let name = name
                    .as_str()
                    .unwrap_or_else(|| panic!("a name that is no text: {name:?}"));
                (name.to_owned(), as_json(value))
            };
            members.iter().map(member).collect()
        }
        Yaml::Array(items) => items.iter().map(as_json).collect(),
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Boolean(is) => Value::from(*is),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Real(text) => serde_json::from_str(text).expect("a number"),
        Yaml::Null => Value::Null,
        other => panic!("nothing that JSON has: {other:?}"),
    }
}
