//! The payload: bytes, or the typed value itself while a message stays inside one process.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use crate::codec;
use crate::error::Error;

/// A typed value that can be encoded when it has to leave the process.
///
/// Every `Serialize` type is one; its encoding is JSON.
pub trait SharedValue: Any + Send + Sync {
    /// Encodes the value as JSON.
    ///
    /// # Errors
    ///
    /// `Rejected` if JSON cannot hold the value.
    fn encode(&self) -> Result<Bytes, Error>;

    /// The value as `Any`, to ask for its type.
    fn as_any(&self) -> &dyn Any;

    /// The shared value as `Any`, to take it over without a copy.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T: Serialize + Any + Send + Sync> SharedValue for T {
    fn encode(&self) -> Result<Bytes, Error> {
        codec::encode_json(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// What a message says. Cloning shares it.
///
/// Its `Debug` shows the size only: what is inside may be personal.
#[derive(Clone)]
pub enum Payload {
    /// Encoded as the envelope's content type says.
    Bytes(Bytes),
    /// The value itself; encoded only when a wire or a dead letter asks for bytes.
    Shared(Arc<dyn SharedValue>),
}

impl Payload {
    /// Shares a typed value with every subscriber in this process.
    pub fn shared<T: Serialize + Any + Send + Sync>(value: Arc<T>) -> Self {
        Self::Shared(value)
    }

    /// The value, if it is shared and of this type.
    pub fn downcast<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        match self {
            Self::Bytes(_) => None,
            Self::Shared(value) => Arc::clone(value).into_any().downcast().ok(),
        }
    }

    /// The value by reference, if it is shared and of this type.
    pub fn downcast_ref<T: Any>(&self) -> Option<&T> {
        match self {
            Self::Bytes(_) => None,
            Self::Shared(value) => value.as_ref().as_any().downcast_ref(),
        }
    }

    /// The payload as bytes; a shared value is encoded now.
    ///
    /// # Errors
    ///
    /// `Rejected` if JSON cannot hold the shared value.
    pub fn to_bytes(&self) -> Result<Bytes, Error> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Shared(value) => value.as_ref().encode(),
        }
    }

    /// The number of bytes, if it is encoded.
    pub fn encoded_len(&self) -> Option<usize> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::Shared(_) => None,
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Shared(_) => f.write_str("Shared"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_value_is_handed_over_or_encoded() {
        let payload = Payload::shared(Arc::new(vec![1_u8, 2]));
        assert_eq!(payload.downcast_ref::<Vec<u8>>(), Some(&vec![1, 2]));
        assert_eq!(payload.downcast::<Vec<u8>>().as_deref(), Some(&vec![1, 2]));
        assert_eq!(payload.downcast_ref::<String>(), None);
        assert_eq!(payload.to_bytes().expect("encodes"), "[1,2]");
        assert_eq!(format!("{payload:?}"), "Shared");
    }
}
