//! The page for people: that nothing in it is anything but text, and that it says what it should.

use crate::served::{ask, start};

/// The tags that the page is made of. Whatever comes from a description would have to be among them to do anything.
const TAGS: [&str; 36] = [
    "!doctype",
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "h1",
    "h2",
    "h3",
    "h4",
    "p",
    "nav",
    "a",
    "div",
    "details",
    "summary",
    "main",
    "section",
    "article",
    "span",
    "code",
    "em",
    "wbr",
    "ul",
    "li",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "figure",
    "figcaption",
    "pre",
];

/// The names of all tags, in order.
fn tags(page: &str) -> Vec<String> {
    let after = page.split('<').skip(1);
    after
        .map(|tag| {
            let name = tag.trim_start_matches('/');
            let end = name
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '!')
                .unwrap_or(name.len());
            name[..end].to_ascii_lowercase()
        })
        .collect()
}

#[tokio::test]
async fn nothing_in_a_description_or_a_host_becomes_a_tag() {
    let (node, at) = start(|gateway| gateway).await;
    let hosts = [
        "node.example:8080",
        "\"><script>alert(3)</script>",
        "x'$(reboot)`reboot`;#",
        "a b",
    ];
    for host in hosts {
        let answer = ask(at, "GET", "/docs", host, "").await;
        if answer.status() == "400" {
            // No host at all: refused at the door, in JSON.
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json"),
                "{host}"
            );
            continue;
        }
        assert_eq!(answer.status(), "200", "{host}");
        let page = answer.body;
        for tag in tags(&page) {
            assert!(TAGS.contains(&tag.as_str()), "{tag} for {host}");
        }
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(
            !page.contains("onerror=") || page.contains("&lt;img src=x onerror="),
            "an attribute"
        );
        assert!(!page.contains("reboot") && !page.contains("alert(3)"), "{host}");
        let shown = if host == hosts[0] { host } else { "localhost" };
        assert!(page.contains(&format!("curl &#39;http://{shown}/api/v1/")), "{shown}");
    }
    assert!(node.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn the_page_may_load_and_run_nothing_but_its_own_style() {
    let (node, at) = start(|gateway| gateway).await;
    let answer = ask(at, "GET", "/docs", "node.example", "").await;
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let page = &answer.body;
    for word in ["<script", " style=", " onclick=", "src=\"", "@import", "url("] {
        assert!(!page.contains(word), "{word}");
    }
    let leads: Vec<&str> = page
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    for lead in leads {
        if let Some(anchor) = lead.strip_prefix('#') {
            assert!(page.contains(&format!("id=\"{anchor}\"")), "{anchor} leads nowhere");
        } else {
            assert!(lead.starts_with('/') && !lead.starts_with("//"), "{lead}");
            assert_eq!(ask(at, "GET", lead, "node.example", "").await.status(), "200", "{lead}");
        }
    }
    assert!(node.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn the_page_says_how_to_call_every_command() {
    let (node, at) = start(|gateway| gateway).await;
    let page = ask(at, "GET", "/docs", "node.example", "").await.body;
    let page = page
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    let commands = [
        r#"curl 'http://node.example/api/v1/orders' \
  -H "authorization: Bearer $TOKEN" \
  -H 'content-type: application/json' \
  -d '{"discount":null,"lines":[{"article":"ABC-1","count":2}],"notes":{"gift":"it'\''s a <gift>"},"speed":"fast"}'"#,
        "curl 'http://node.example/api/v1/orders/7?expand=true'",
        "curl -X DELETE 'http://node.example/api/v1/orders/1'",
        "curl -X POST 'http://node.example/api/v1/ping'",
        "curl 'http://node.example/api/v1/search?q=text&amp;tags=text'",
    ];
    for command in commands {
        assert!(page.contains(command), "{command}\nin\n{page}");
    }
    for text in [
        "needs authentication",
        "deprecated",
        "An order of this basket exists.",
        "1 to 20 items",
        "as above",
    ] {
        assert!(page.contains(text), "{text}");
    }
    assert!(node.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
}
