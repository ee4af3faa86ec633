//! The node's client, against real nodes and against what is none.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roadshow_gateway::{ClientError, NodeClient};
use roadshow_services::config::Secret;
use roadshow_services::{AddressBuf, CallOptions, Code, Executed};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::stage::Staged;

fn client(staged: &Staged) -> NodeClient {
    NodeClient::new(&format!("http://{}", staged.at)).expect("a URL")
}

fn address(command: &str) -> AddressBuf {
    format!("stage.1.{command}").parse().expect("an address")
}

#[tokio::test]
async fn a_node_answers_its_client() {
    let staged = Staged::start().await;
    let client = client(&staged);
    let call = |command: &str, json: &'static str| {
        let (client, address) = (client.clone(), address(command));
        async move {
            client
                .call(&address, Bytes::from_static(json.as_bytes()), CallOptions::default())
                .await
        }
    };
    assert_eq!(
        call("get_user", r#"{"id":7}"#).await.expect("a user"),
        r#"{"id":7,"name":"Ada"}"#
    );
    assert_eq!(call("touch", "{}").await.expect("nothing"), "null");
    let error = call("get_user", r#"{"id":101}"#).await.expect_err("there is none");
    let problem = error.problem().expect("the node's own answer");
    assert_eq!(
        (problem.status, problem.failure.code, problem.failure.executed),
        (404, Code::NotFound, Executed::Yes)
    );
    assert_eq!(
        serde_json::to_value(&error).expect("JSON")["message"],
        "there is no user 101"
    );

    let event = "stage.heard".parse().expect("a name");
    client
        .emit(&event, Bytes::from_static(br#"{"text":"hi"}"#), CallOptions::default())
        .await
        .expect("accepted");
    staged
        .props
        .until("it is heard", |props| props.heard.load(SeqCst) == 1)
        .await;
    assert_eq!(client.tree().await.expect("a tree")["id"], "node");
    assert!(client.failures().await.expect("failures").is_array());
    assert_eq!(client.ready().await.expect("readiness")["ready"], true);
    assert!(client.metrics().await.expect("metrics").contains("roadshow_"));
    staged.end().await;
}

#[tokio::test]
async fn what_the_caller_says_of_itself_arrives() {
    let staged = Staged::with(|gateway| gateway.token(Secret::new("correct-horse"))).await;
    let client = client(&staged).token(Secret::new("correct-horse"));
    let options = CallOptions::default()
        .principal("Zoë")
        .tenant("acme")
        .key("k")
        .timeout(Duration::from_secs(45));
    let reply = client
        .call(&address("who_am_i"), Bytes::from_static(b"{}"), options)
        .await
        .expect("an answer");
    let who: serde_json::Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(
        (&who["principal"], &who["tenant"], &who["key"]),
        (&"Zoë".into(), &"acme".into(), &"k".into())
    );
    let stranger = NodeClient::new(&format!("http://{}", staged.at))
        .expect("a URL")
        .token(Secret::new("wrong"));
    let error = stranger.tree().await.expect_err("the token is wrong");
    assert_eq!(error.failure().code, Code::Unauthenticated);
    staged.end().await;
}

#[tokio::test]
async fn a_node_that_is_not_there_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = free.local_addr().expect("an address");
    drop(free);
    let client = NodeClient::new(&format!("http://{at}")).expect("a URL");
    let error = client.tree().await.expect_err("nobody is there");
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(&at.to_string()), "{error}");
    let failure = error.failure();
    assert_eq!((failure.code, failure.executed), (Code::Unavailable, Executed::No));
}

#[tokio::test]
async fn a_stranger_is_recognised_and_a_silent_one_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let client = NodeClient::new(&format!("http://{}", listener.local_addr().expect("an address"))).expect("a URL");
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhi",
    ];
    let server = async {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(answer).await.expect("it is open");
        }
    };
    let asking = async {
        for _ in answers {
            let error = client.tree().await.expect_err("this is no node");
            assert!(
                matches!(error, ClientError::NotANode { .. } | ClientError::Lost { .. }),
                "{error:?}"
            );
        }
    };
    tokio::join!(server, asking);

    let begun = Instant::now();
    let options = CallOptions::default().timeout(Duration::from_millis(1));
    let silence = client
        .call(&address("touch"), Bytes::new(), options)
        .await
        .expect_err("nobody answers");
    assert!(matches!(silence, ClientError::Late { .. }), "{silence:?}");
    assert_eq!(silence.failure().executed, Executed::Unknown);
    assert!(begun.elapsed() < Duration::from_secs(15));
}
