//! The baseline of `benches/http/run`: axum as its users write it, answering what the demo's `user` service answers.
//!
//! The same paths, the same JSON, the same memory behind a lock, and the same random ids; no admission, no deadline, no
//! metrics, no validation and no event. What a request costs more at the gateway is what those cost.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

#[derive(Debug, Deserialize)]
struct CreateUser {
    name: String,
    email: String,
}

#[derive(Clone, Debug, Serialize)]
struct User {
    id: String,
    name: String,
    email: String,
}

/// The users of this process, by id.
#[derive(Clone, Debug, Default)]
struct Users(Arc<Mutex<HashMap<String, User>>>);

impl Users {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, User>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn create_user(State(users): State<Users>, Json(input): Json<CreateUser>) -> (StatusCode, Json<User>) {
    let user = User {
        id: random_uuid(),
        name: input.name,
        email: input.email,
    };
    users.lock().insert(user.id.clone(), user.clone());
    (StatusCode::CREATED, Json(user))
}

async fn get_user(State(users): State<Users>, Path(id): Path<String>) -> Result<Json<User>, StatusCode> {
    let user = users.lock().get(&id).cloned();
    user.map(Json).ok_or(StatusCode::NOT_FOUND)
}

/// A UUID of version 4, made as the demo makes its own.
fn random_uuid() -> String {
    let bits: u128 = rand::random();
    let bits = (bits & !(0xf << 76)) | (0x4 << 76);
    let bits = (bits & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    parts.join("-")
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let app = Router::new()
        .route("/api/v1/users", post(create_user))
        .route("/api/v1/users/{id}", get(get_user))
        .with_state(Users::default());
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("ready http={}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| {
        // The gateway sets it too. Where it cannot be set, answers come later, which is seen in the numbers.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, app).await
}
