//! `openapi`: the document from the command line, beside the one that a node serves.

use crate::{Up, run};

#[test]
fn the_command_line_prints_what_a_node_with_the_same_settings_serves() {
    let up = Up::new(&["--services", "user", "--payload-limit", "4KiB"]);
    let json = run(&["openapi", "--services", "user", "--payload-limit", "4KiB"]);
    assert_eq!((json.code, json.err.as_str()), (Some(0), ""));
    assert_eq!(json.out, up.client(&["openapi"]).out);
    assert!(json.out.contains("/api/v1/users/{id}") && json.out.contains("4096 bytes"));
    assert!(!json.out.contains("email.1"), "another service: {}", json.out);

    let yaml = run(&[
        "openapi",
        "--services",
        "user",
        "--payload-limit",
        "4KiB",
        "--yaml",
        "--http",
        "off",
    ]);
    assert_eq!((yaml.code, yaml.err.as_str()), (Some(0), ""));
    assert_eq!(yaml.out, up.client(&["openapi", "--yaml"]).out);
    assert!(yaml.out.starts_with("openapi: \"3.1.0\"\n"), "{}", yaml.out);
    assert_eq!(up.stop().code, Some(0));
}

#[test]
fn the_document_goes_into_a_file_where_one_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("openapi.json");
    let path = file.to_str().expect("a path in UTF-8");
    let ended = run(&["openapi", "--out", path]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""));
    let written = std::fs::read_to_string(&file).expect("it was written");
    assert_eq!(written.trim_end(), run(&["openapi"]).out.trim_end());
    assert!(written.ends_with("}\n"), "the last line ends");
    let ended = run(&["openapi", "--out", "/no/such/folder/openapi.json"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("cannot write /no/such/folder/openapi.json"),
        "{}",
        ended.err
    );
}

#[test]
fn what_is_wrong_has_its_exit_code() {
    let up = Up::new(&["--gateway-docs=false"]);
    let hidden = up.client(&["openapi"]);
    assert_eq!((hidden.code, hidden.out.as_str()), (Some(1), ""));
    assert!(hidden.err.contains("\"not_found\""), "{}", hidden.err);
    assert_eq!(up.stop().code, Some(0));
    let table: [(&[&str], i32, &str); 3] = [
        (&["openapi", "--node", "no url"], 2, "--node"),
        (&["openapi", "--services", "nobody"], 2, "nobody"),
        (&["openapi", "--jason"], 2, "--jason"),
    ];
    for (args, code, named) in table {
        let ended = run(args);
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(code), ""),
            "{args:?}: {}",
            ended.err
        );
        assert!(ended.err.contains(named), "{args:?}: {}", ended.err);
    }
}
