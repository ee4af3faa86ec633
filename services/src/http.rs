//! How a command is reached over HTTP, as data. The only crate that knows HTTP is the gateway.

use std::fmt;

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Read.
    Get,
    /// Create or act.
    Post,
    /// Replace.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    /// The method's name as HTTP writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }

    /// Whether requests with this method bring their input in a body.
    #[must_use]
    pub const fn has_body(self) -> bool {
        matches!(self, Method::Post | Method::Put | Method::Patch)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The route of one command. The path stands below `/api/v<version>` and may hold `{name}` segments.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRoute {
    /// The method.
    pub method: Method,
    /// The path, beginning with a slash.
    pub path: &'static str,
    /// The status of a good answer. Default 200.
    pub status: u16,
    /// Whether callers need no authentication. Routes are closed by default.
    pub public: bool,
}

impl HttpRoute {
    /// A closed route that answers 200.
    #[must_use]
    pub fn new(method: Method, path: &'static str) -> Self {
        HttpRoute {
            method,
            path,
            status: 200,
            public: false,
        }
    }

    /// The names of the path's `{name}` segments.
    pub fn path_names(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }
}
