//! The operators' page beside the log of a node: the fields and the lines that it explains.

use serde_json::Value;

use crate::metrics::{PAGE, sources};
use crate::program::Program;
use crate::{binary, page, web};

/// The rows of the table below a heading line, as cells.
fn rows(head: &str) -> Vec<Vec<String>> {
    let text = page(PAGE);
    let (_, table) = text
        .split_once(head)
        .unwrap_or_else(|| panic!("{PAGE} has the table {head}"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// The texts of a cell that stand in code marks.
fn code(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn the_fields_of_a_line_are_those_that_the_page_explains() {
    let rows = rows("| field | what it is |");
    let explained: Vec<&str> = rows.iter().flat_map(|row| code(&row[1])).collect();
    let mut node = Program::start(&binary(), &["up", "--http", "127.0.0.1:0", "--log", "json"]);
    let at = node.ready();
    let user = r#"{"name":"Ada","email":"ada@example.org"}"#;
    let answer = web::answer(web::send(&at, "POST", "/api/v1/users", user));
    let line: Value = serde_json::from_str(&node.hears("welcome mail sent")).expect("a line of JSON");
    for field in explained
        .iter()
        .filter(|field| !["span.principal", "span.tenant"].contains(field))
    {
        let pointer = format!("/{}", field.replace('.', "/"));
        assert!(
            line.pointer(&pointer).is_some(),
            "{PAGE} explains {field}, which {line} has not"
        );
    }
    let span = line["span"].as_object().expect("a span");
    for field in span.keys().filter(|field| *field != "name") {
        let field = format!("span.{field}");
        assert!(explained.contains(&field.as_str()), "{PAGE} explains no {field}");
    }
    assert_eq!(span["correlation_id"].as_str(), answer.header("x-correlation-id"));
    node.signal("TERM");
    assert_eq!(node.end().code, Some(0));
}

#[test]
fn the_lines_that_the_page_explains_are_written_by_the_code() {
    let code_of_all = sources();
    let rows = rows("| line | level | what it means |");
    assert!(rows.len() >= 5, "the lines were read");
    for row in &rows {
        let line = code(&row[1]).next().expect("a line in code marks");
        assert!(
            code_of_all.contains(&format!("\"{line}\"")),
            "{PAGE} explains the line {line}, which nothing writes"
        );
    }
}
