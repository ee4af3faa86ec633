//! How callers say who they are, as documents describe it.

use serde_json::{Value, json};

/// The way in which an [`Authenticate`](crate::Authenticate) hook wants callers to say who they are. It is data for
/// documents and changes nothing about what the hook accepts.
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
