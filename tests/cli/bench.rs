//! `bench` as it is used: what goes where, and what is refused before anything is measured.

use serde_json::Value;

use crate::run;

#[test]
fn a_bench_writes_its_document_its_picture_and_nothing_that_is_for_terminals() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("bench.svg");
    let picture = picture.to_str().expect("UTF-8");
    let ended = run(&[
        "bench",
        "--rows",
        "restart",
        "--seconds",
        "1",
        "--json",
        "--plot",
        picture,
    ]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(!ended.err.contains("measuring"), "{}", ended.err);
    let document: Value = serde_json::from_str(&ended.out).expect("one document");
    let row = &document["rows"][0];
    assert_eq!(row["name"], "restart");
    for member in [
        "per_second",
        "p50_ns",
        "p99_ns",
        "p999_ns",
        "max_ns",
        "baseline_per_second",
        "ratio",
    ] {
        assert!(
            row[member].as_f64().is_some_and(|number| number > 0.0),
            "{member} in {row}"
        );
    }
    let drawn = std::fs::read_to_string(picture).expect("a picture");
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
    assert!(drawn.contains("restart") && drawn.contains("ractor_respawn"), "{drawn}");
}

#[test]
fn a_plot_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("no/such/bench.svg");
    let missing = missing.to_str().expect("UTF-8");
    let ended = run(&["bench", "--rows", "restart", "--seconds", "600", "--plot", missing]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    assert!(
        ended.err.contains("cannot write the plot to") && ended.err.contains(missing),
        "{}",
        ended.err
    );
}
