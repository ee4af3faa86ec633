//! The direction of DESIGN section 1, read from the manifests: who may use whom, and which library is named where.
//!
//! The tables are the design; a new arrow is a decision (a page in `docs/decisions`) and then a line here. Dependencies
//! of every kind count: normal, build, dev, and those of a target.

use std::fs;

use toml::{Table, Value};

use super::tree::{Finding, root};

/// A member: its folder, its package, and the packages of ours directly below it. Members that later issues bring are
/// listed, so that they arrive where the design wants them.
const MEMBERS: &[(&str, &str, &[&str])] = &[
    (
        "",
        "roadshow",
        &[
            "roadshow-console",
            "roadshow-demo",
            "roadshow-conformance",
            "roadshow-nats",
            "roadshow-amqp",
            "roadshow-mqtt",
            "roadshow-redis",
            "roadshow-dapr",
            "roadshow-aws",
        ],
    ),
    (
        "services/console",
        "roadshow-console",
        &["roadshow-gateway", "roadshow-cluster"],
    ),
    ("services/gateway", "roadshow-gateway", &["roadshow-services"]),
    ("services/demo", "roadshow-demo", &["roadshow-services"]),
    ("cluster", "roadshow-cluster", &["roadshow-services"]),
    ("bridges/conformance", "roadshow-conformance", &["roadshow-services"]),
    ("services", "roadshow-services", &["roadshow-actors"]),
    (
        "actors",
        "roadshow-actors",
        &["roadshow-supervision", "roadshow-bridges"],
    ),
    ("supervision", "roadshow-supervision", &[]),
    ("bridges", "roadshow-bridges", &[]),
    ("bridges/nats", "roadshow-nats", &["roadshow-bridges"]),
    ("bridges/amqp", "roadshow-amqp", &["roadshow-bridges"]),
    ("bridges/mqtt", "roadshow-mqtt", &["roadshow-bridges"]),
    ("bridges/redis", "roadshow-redis", &["roadshow-bridges"]),
    ("bridges/dapr", "roadshow-dapr", &["roadshow-bridges"]),
    ("bridges/aws", "roadshow-aws", &["roadshow-bridges"]),
];

/// Adapters may use the suite they must pass, from their tests only.
const SUITE: &str = "roadshow-conformance";

/// Libraries that only some members may name, tests and benches of the facade apart where it is listed.
const KEPT: &[(&[&str], &[&str])] = &[
    (
        &[
            "http",
            "http-body-util",
            "hyper",
            "hyper-util",
            "reqwest",
            "tower",
            "tower-http",
        ],
        &["roadshow-gateway"],
    ),
    (&["axum"], &["roadshow-gateway", "roadshow (dev)"]),
    (&["clap"], &["roadshow-console", "roadshow-demo"]),
    (&["crossterm", "indicatif", "ratatui"], &["roadshow-console"]),
    (
        &["ractor"],
        &[
            "roadshow-supervision",
            "roadshow-actors",
            "roadshow-services",
            "roadshow-console",
            "roadshow (dev)",
        ],
    ),
    (&["bincode"], &["roadshow-bridges"]),
    (&["quanta"], &["roadshow-actors"]),
    (&["async-nats"], &["roadshow-nats"]),
    (&["lapin"], &["roadshow-amqp"]),
    (&["rumqttc", "rumqttc-v5-next"], &["roadshow-mqtt"]),
    (&["redis"], &["roadshow-redis"]),
    (&["actix", "kameo", "xtra"], &["roadshow (dev)"]),
];

/// A member's manifest.
#[derive(Debug)]
pub(crate) struct Member {
    folder: String,
    manifest: Table,
}

/// One dependency of a member.
struct Dependency<'a> {
    name: &'a str,
    value: &'a Value,
    is_dev: bool,
}

impl Member {
    /// Reads a manifest that lies in `folder`.
    pub(crate) fn new(folder: &str, text: &str) -> Self {
        let manifest = text.parse().expect("a manifest is TOML");
        Self {
            folder: folder.to_owned(),
            manifest,
        }
    }

    fn path(&self) -> String {
        let slash = if self.folder.is_empty() { "" } else { "/" };
        format!("{}{slash}Cargo.toml", self.folder)
    }

    fn package(&self) -> &str {
        self.manifest
            .get("package")
            .and_then(|package| package.get("name")?.as_str())
            .unwrap_or("")
    }

    fn dependencies(&self) -> Vec<Dependency<'_>> {
        let targets = self.manifest.get("target").and_then(Value::as_table);
        let tables = std::iter::once(&self.manifest)
            .chain(targets.into_iter().flat_map(Table::values).filter_map(Value::as_table));
        let mut found = Vec::new();
        for table in tables {
            for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
                let section = table.get(kind).and_then(Value::as_table);
                found.extend(section.into_iter().flatten().map(|(name, value)| Dependency {
                    name,
                    value,
                    is_dev: kind == "dev-dependencies",
                }));
            }
        }
        found
    }
}

/// The members that the workspace lists, the facade first.
pub(crate) fn members() -> Vec<Member> {
    let read = |folder: &str| {
        let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a listed member has a manifest");
        Member::new(folder, &text)
    };
    let facade = read("");
    let listed: Vec<String> = facade
        .manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array())
        .expect("the workspace lists its members by name")
        .iter()
        .filter_map(|folder| folder.as_str().map(str::to_owned))
        .collect();
    std::iter::once(facade)
        .chain(listed.iter().map(|folder| read(folder)))
        .collect()
}

/// Every breach in these manifests.
pub(crate) fn findings(members: &[Member]) -> Vec<Finding> {
    members.iter().flat_map(member_findings).collect()
}

fn member_findings(member: &Member) -> Vec<Finding> {
    let mut rules = Vec::new();
    let package = member.package();
    let listed = MEMBERS
        .iter()
        .any(|(folder, name, _)| *folder == member.folder && *name == package);
    if !listed {
        rules.push(format!(
            "`{package}` in `{}` is no member that the design knows",
            member.folder
        ));
    }
    if !is_true(member.manifest.get("lints").and_then(|lints| lints.get("workspace"))) {
        rules.push("a member says `[lints] workspace = true`".to_owned());
    }
    let profiles = member.manifest.get("profile").and_then(Value::as_table);
    let settings = profiles.into_iter().flat_map(Table::values);
    if settings
        .filter_map(Value::as_table)
        .any(|profile| profile.contains_key("panic"))
    {
        rules.push("no profile sets `panic`: supervision needs unwinding".to_owned());
    }
    for dependency in member.dependencies() {
        rules.extend(dependency_rule(package, &dependency));
    }
    rules
        .into_iter()
        .map(|rule| Finding::new(&member.path(), 1, rule))
        .collect()
}

fn dependency_rule(package: &str, dependency: &Dependency<'_>) -> Option<String> {
    let name = dependency.name;
    if !is_true(dependency.value.get("workspace")) {
        return Some(format!("`{name}` takes its version from `[workspace.dependencies]`"));
    }
    let is_ours = name == "roadshow" || name.starts_with("roadshow-");
    if is_ours && !may_use(package, name, dependency.is_dev) {
        return Some(format!(
            "`{package}` may not use `{name}`: the design has no such arrow"
        ));
    }
    let dev = format!("{package} (dev)");
    let kept = KEPT.iter().find(|(libraries, _)| libraries.contains(&name))?;
    let allowed = kept.1.contains(&package) || (dependency.is_dev && kept.1.contains(&dev.as_str()));
    (!allowed).then(|| format!("`{package}` may not name `{name}`: only {} may", kept.1.join(", ")))
}

/// A crate may use every crate below it; an adapter's tests may use the suite.
fn may_use(package: &str, used: &str, is_dev: bool) -> bool {
    let adapter = MEMBERS
        .iter()
        .any(|(folder, name, _)| *name == package && folder.starts_with("bridges/") && *name != SUITE);
    (adapter && is_dev && used == SUITE) || is_below(package, used)
}

fn is_below(package: &str, used: &str) -> bool {
    MEMBERS
        .iter()
        .filter(|(_, name, _)| *name == package)
        .flat_map(|(_, _, below)| below.iter())
        .any(|below| *below == used || is_below(below, used))
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(folder: &str, package: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{package}\"\n[lints]\nworkspace = true\n{rest}");
        let member = Member::new(folder, &text);
        findings(&[member]).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn arrows_of_the_design_pass() {
        let table = [
            (
                "",
                "roadshow",
                "[dependencies]\nroadshow-bridges.workspace = true\n[dev-dependencies]\nractor.workspace = true",
            ),
            (
                "services",
                "roadshow-services",
                "[dependencies]\nroadshow-supervision.workspace = true",
            ),
            (
                "actors",
                "roadshow-actors",
                "[target.'cfg(loom)'.dependencies]\nloom.workspace = true",
            ),
            (
                "bridges/nats",
                "roadshow-nats",
                "[dev-dependencies]\nroadshow-conformance.workspace = true",
            ),
            (
                "services/gateway",
                "roadshow-gateway",
                "[dependencies]\naxum = { workspace = true, features = [\"http1\"] }",
            ),
        ];
        for (folder, package, rest) in table {
            assert_eq!(rules(folder, package, rest), [""; 0], "{package}");
        }
    }

    #[test]
    fn every_other_arrow_is_found() {
        let table = [
            (
                "bridges",
                "roadshow-bridges",
                "[dependencies]\nroadshow-actors.workspace = true",
            ),
            (
                "bridges",
                "roadshow-bridges",
                "[dev-dependencies]\nroadshow-services.workspace = true",
            ),
            (
                "supervision",
                "roadshow-supervision",
                "[dependencies]\nroadshow-bridges.workspace = true",
            ),
            (
                "supervision",
                "roadshow-supervision",
                "[build-dependencies]\nroadshow.workspace = true",
            ),
            (
                "services/demo",
                "roadshow-demo",
                "[dependencies]\nroadshow-gateway.workspace = true",
            ),
            (
                "bridges/nats",
                "roadshow-nats",
                "[dependencies]\nroadshow-conformance.workspace = true",
            ),
            (
                "bridges/nats",
                "roadshow-nats",
                "[target.'cfg(unix)'.dependencies]\nroadshow-amqp.workspace = true",
            ),
            ("services", "roadshow-services", "[dependencies]\naxum.workspace = true"),
            (
                "services/gateway",
                "roadshow-gateway",
                "[dependencies]\nractor.workspace = true",
            ),
            ("", "roadshow", "[dependencies]\nractor.workspace = true"),
            ("services/demo", "roadshow-demo", "[dependencies]\nserde = \"1\""),
            (
                "services/demo",
                "roadshow-demo",
                "[dependencies]\nserde = { version = \"1\" }",
            ),
            ("", "roadshow", "[profile.release]\npanic = \"abort\""),
            ("services/mail", "roadshow-mail", ""),
            ("services", "roadshow-demo", ""),
        ];
        for (folder, package, rest) in table {
            assert_eq!(rules(folder, package, rest).len(), 1, "{package} {rest}");
        }
    }

    #[test]
    fn a_member_without_the_workspaces_lints_is_found() {
        let member = Member::new("bridges", "[package]\nname = \"roadshow-bridges\"");
        assert_eq!(findings(&[member]).len(), 1);
    }
}
