//! How callers say who they are, as documents describe it.

use http::{HeaderName, HeaderValue};
use serde_json::{Value, json};

/// The way in which an [`Authenticate`](crate::Authenticate) hook wants callers to say who they are. It is told
/// by documents and by a 401, and changes nothing about what the hook accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityScheme {
    /// A token in the `authorization` header, after `Bearer`.
    Bearer {
        /// What the token is, as in `JWT`: a hint for people.
        format: Option<String>,
    },
    /// A key in a header of its own.
    ApiKey {
        /// The header's name.
        header: String,
    },
    /// A name and a password in the `authorization` header, after `Basic`.
    Basic,
    /// OpenID Connect.
    OpenIdConnect {
        /// Where the provider describes itself.
        url: String,
    },
}

impl Default for SecurityScheme {
    /// A bearer token of any format.
    fn default() -> Self {
        SecurityScheme::Bearer { format: None }
    }
}

impl SecurityScheme {
    /// The scheme's name in the document.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            SecurityScheme::Bearer { .. } => "bearer",
            SecurityScheme::ApiKey { .. } => "api_key",
            SecurityScheme::Basic => "basic",
            SecurityScheme::OpenIdConnect { .. } => "open_id_connect",
        }
    }

    /// The scheme as OpenAPI writes it.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            SecurityScheme::Bearer { format: None } => json!({ "type": "http", "scheme": "bearer" }),
            SecurityScheme::Bearer { format: Some(format) } => {
                json!({ "type": "http", "scheme": "bearer", "bearerFormat": format })
            }
            SecurityScheme::ApiKey { header } => json!({ "type": "apiKey", "in": "header", "name": header }),
            SecurityScheme::Basic => json!({ "type": "http", "scheme": "basic" }),
            SecurityScheme::OpenIdConnect { url } => json!({ "type": "openIdConnect", "openIdConnectUrl": url }),
        }
    }

    /// What a 401 asks for. A key in a header of its own has no registered scheme, and a 401 must name one.
    pub(crate) fn challenge(&self) -> HeaderValue {
        match self {
            SecurityScheme::Bearer { .. } | SecurityScheme::OpenIdConnect { .. } => HeaderValue::from_static("Bearer"),
            SecurityScheme::Basic => HeaderValue::from_static("Basic realm=\"roadshow\", charset=\"UTF-8\""),
            SecurityScheme::ApiKey { header } => HeaderName::from_bytes(header.as_bytes())
                .ok()
                .and_then(|header| HeaderValue::try_from(format!("ApiKey header=\"{header}\"")).ok())
                .unwrap_or(HeaderValue::from_static("ApiKey")),
        }
    }

    /// The header of a request that a person would send, with a shell variable for the secret.
    pub(crate) fn curl_header(&self) -> String {
        match self {
            SecurityScheme::Bearer { .. } | SecurityScheme::OpenIdConnect { .. } => {
                "authorization: Bearer $TOKEN".to_owned()
            }
            SecurityScheme::ApiKey { header } => format!("{header}: $TOKEN"),
            SecurityScheme::Basic => "authorization: Basic $TOKEN".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_the_scheme() {
        let key = |header: &str| SecurityScheme::ApiKey {
            header: header.to_owned(),
        };
        let table = [
            (SecurityScheme::default(), "Bearer"),
            (SecurityScheme::Basic, "Basic realm=\"roadshow\", charset=\"UTF-8\""),
            (key("X-Api-Key"), "ApiKey header=\"x-api-key\""),
            (key("a\r\nb: \"c\""), "ApiKey"),
            (key(""), "ApiKey"),
        ];
        for (scheme, challenge) in table {
            assert_eq!(scheme.challenge(), challenge, "{scheme:?}");
        }
    }
}
