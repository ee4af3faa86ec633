//! Reading a body: bounded in size, in time, and by what all bodies of the gateway hold together.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use roadshow_services::Failure;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::media;
use crate::refusal::Refusal;

/// How much of a body that is too large is read and thrown away, as a multiple of the limit: clients that send before they
/// listen would otherwise see a broken connection in place of the answer.
const THROWN_AWAY_MAX: usize = 8;

/// What a body may cost.
#[derive(Clone, Debug)]
pub(crate) struct BodyLimits {
    /// The largest body, in bytes.
    pub(crate) bytes_max: usize,
    /// The longest that reading one may take.
    pub(crate) timeout: Duration,
    /// The bytes that all bodies may hold together.
    pub(crate) budget: Arc<Semaphore>,
}

/// A body that was read, and its part of the budget until it is dropped.
#[derive(Debug)]
pub(crate) struct ReadBody {
    pub(crate) bytes: Bytes,
    pub(crate) held: Option<OwnedSemaphorePermit>,
}

impl BodyLimits {
    /// Reads a JSON body. An empty one needs no content type, unless `strict`.
    pub(crate) async fn read_json(
        &self,
        headers: &HeaderMap,
        body: &mut Incoming,
        strict: bool,
    ) -> Result<ReadBody, Refusal> {
        let empty = body.is_end_stream();
        if !media::is_json(headers) && (strict || !empty) {
            return Err(Refusal::not_json());
        }
        if media::is_encoded(headers) {
            return Err(Refusal::encoded());
        }
        self.read(headers, body).await
    }

    /// Reads a body, whatever it is.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: &mut Incoming) -> Result<ReadBody, Refusal> {
        if body.is_end_stream() {
            return Ok(ReadBody {
                bytes: Bytes::new(),
                held: None,
            });
        }
        let read = async {
            if body.size_hint().lower() > self.bytes_max as u64 {
                return Err(self.too_large(headers, body, 0).await);
            }
            self.collect(headers, body).await
        };
        timeout(self.timeout, read)
            .await
            .unwrap_or_else(|_| Err(Refusal::body_too_slow(self.timeout)))
    }

    async fn collect(&self, headers: &HeaderMap, body: &mut Incoming) -> Result<ReadBody, Refusal> {
        let mut bytes = BytesMut::new();
        let mut held: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Refusal::before(Failure::invalid("the body broke off")).closing());
            };
            // Trailers say nothing that a command could read.
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > self.bytes_max {
                return Err(self.too_large(headers, body, bytes.len() + data.len()).await);
            }
            let more = self.reserve(data.len())?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(ReadBody {
            bytes: bytes.freeze(),
            held,
        })
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.budget).try_acquire_many_owned(bytes).map_err(|_| {
            Refusal::before(Failure::unavailable(
                "the bodies being read fill the memory set aside for them",
            ))
            .closing()
        })
    }

    /// The refusal of a body that is too large, once the client has likely stopped sending it.
    async fn too_large(&self, headers: &HeaderMap, body: &mut Incoming, mut seen: usize) -> Refusal {
        let refusal = Refusal::body_too_large(self.bytes_max);
        let most = self.bytes_max.saturating_mul(THROWN_AWAY_MAX);
        // Who asks before sending gets the answer instead of the go-ahead.
        if headers.contains_key(EXPECT) || body.size_hint().lower() > most as u64 {
            return refusal.closing();
        }
        while let Some(Ok(frame)) = body.frame().await {
            seen += frame.data_ref().map_or(0, Bytes::len);
            if seen > most {
                return refusal.closing();
            }
        }
        refusal
    }
}
