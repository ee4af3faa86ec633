//! A program with a route that is not public, and the hook that lets partners in by a key.
//!
//! `locked up`, then `curl -H 'x-api-key: open sesame' localhost:8080/api/v1/vault`.

use std::convert::Infallible;
use std::pin::Pin;
use std::process::ExitCode;

use roadshow_gateway::{Authenticate, Caller, RequestHead, SecurityScheme};
use roadshow_services::{Address, Command, CommandHandler, Context, Failure, Method, Service, ServiceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const KEY: &str = "x-api-key";
const VAULT: ServiceId = ServiceId::new("vault", 1);

/// Looks into the vault.
#[derive(Deserialize, JsonSchema, Serialize)]
struct LookInside {}

impl Command for LookInside {
    const ADDRESS: Address = VAULT.command("look_inside");
    type Reply = String;
}

struct Vault;

impl CommandHandler<LookInside> for Vault {
    async fn handle(&self, _input: LookInside, ctx: &Context) -> Result<String, Failure> {
        Ok(format!("gold, {}", ctx.principal().unwrap_or("stranger")))
    }
}

/// Lets in whoever has the key.
struct Partners;

impl Authenticate for Partners {
    fn authenticate<'a>(
        &'a self,
        head: &'a RequestHead<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Caller, Failure>> + Send + 'a>> {
        Box::pin(async move {
            match head.headers.get(KEY) {
                Some(key) if key == "open sesame" => Ok(Caller::principal("partner")),
                _ => Err(Failure::unauthenticated("send your key as x-api-key")),
            }
        })
    }

    fn scheme(&self) -> SecurityScheme {
        SecurityScheme::ApiKey { header: KEY.to_owned() }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let vault = Service::new(VAULT, || async { Ok::<_, Infallible>(Vault) })
        .command::<LookInside>(|c| c.http(Method::Get, "/vault"));
    roadshow_console::app("locked")
        .version("4.5.6")
        .service(vault)
        .authenticate(Partners)
        .main()
        .await
}
