//! The routing table: which command or stream stands at which path, made once from the contracts.
//!
//! matchit finds the path; the names of its segments are positions there, so that two commands may share a path under
//! different methods and call its segments differently.

use std::collections::BTreeMap;

use http::{HeaderValue, Method, StatusCode};
use roadshow_services::{Address, AddressBuf, CommandContract, HttpRoute, SchemaOf, StreamContract};

use crate::shape::Shape;

/// One command or stream at its place.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) address: AddressBuf,
    /// Whether it is a stream.
    pub(crate) streams: bool,
    /// Its place in [`Routes::paths`].
    pub(crate) number: usize,
    pub(crate) method: Method,
    /// Whether callers need no authentication.
    pub(crate) public: bool,
    /// The status of a good answer.
    pub(crate) status: StatusCode,
    /// Whether requests bring a body.
    pub(crate) has_body: bool,
    /// The names of the path's segments that are fields, in order.
    pub(crate) names: Vec<&'static str>,
    pub(crate) shape: Shape,
}

/// What stands at one path.
#[derive(Debug)]
pub(crate) struct Place {
    /// At least one.
    pub(crate) routes: Vec<Route>,
    pub(crate) allow: HeaderValue,
}

/// All routes of a node.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    places: matchit::Router<Place>,
    /// The whole path of every route as it is declared, by its number.
    pub(crate) paths: Vec<String>,
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Found<'r, 'p> {
    /// A command or a stream, with the raw values of its path's segments.
    Route(&'r Route, Vec<&'p str>),
    /// Only the methods of the path.
    Methods(&'r Place),
    /// The path takes other methods.
    WrongMethod(&'r Place),
    Nothing,
}

impl Routes {
    /// Puts every command and every stream that declares a route at its place.
    ///
    /// # Errors
    /// Everything that is wrong with the declarations.
    pub(crate) fn new(commands: &[CommandContract], streams: &[StreamContract]) -> Result<Routes, Vec<String>> {
        let mut places: BTreeMap<String, Vec<Route>> = BTreeMap::new();
        let mut problems = Vec::new();
        let mut routes = Routes::default();
        for declared in declared(commands, streams) {
            match route_of(&declared, routes.paths.len()) {
                Ok((template, path, route)) => {
                    routes.paths.push(path);
                    places.entry(template).or_default().push(route);
                }
                Err(problem) => problems.push(format!("the route of {} {problem}", declared.address)),
            }
        }
        for (template, at_place) in places {
            let names: Vec<String> = at_place.iter().map(|route| route.address.to_string()).collect();
            let place = Place {
                allow: allow_of(&at_place),
                routes: at_place,
            };
            if let Err(error) = routes.places.insert(template, place) {
                problems.push(format!(
                    "the route of {} is in the way of another: {error}",
                    names.join(" and ")
                ));
            }
        }
        if problems.is_empty() { Ok(routes) } else { Err(problems) }
    }

    /// Finds what a request asks for. HEAD is a GET whose body is left out.
    pub(crate) fn find<'r, 'p>(&'r self, method: &Method, path: &'p str) -> Found<'r, 'p> {
        let Ok(matched) = self.places.at(path) else {
            return Found::Nothing;
        };
        let place = matched.value;
        if method == Method::OPTIONS {
            return Found::Methods(place);
        }
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match place.routes.iter().find(|route| route.method == *method) {
            Some(route) => Found::Route(route, matched.params.iter().map(|(_, value)| value).collect()),
            None => Found::WrongMethod(place),
        }
    }
}

/// The methods of a place, as the `Allow` header lists them.
fn allow_of(routes: &[Route]) -> HeaderValue {
    let mut methods: Vec<&str> = routes.iter().map(|route| route.method.as_str()).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.push("OPTIONS");
    methods.sort_unstable();
    HeaderValue::from_str(&methods.join(", ")).expect("the names of methods are header values")
}

/// What declares a route.
struct Declared<'c> {
    address: Address,
    http: &'c HttpRoute,
    input: SchemaOf,
    streams: bool,
}

fn declared<'c>(commands: &'c [CommandContract], streams: &'c [StreamContract]) -> impl Iterator<Item = Declared<'c>> {
    let commands = commands.iter().filter_map(|contract| {
        Some(Declared {
            address: contract.address,
            http: contract.http.as_ref()?,
            input: contract.input,
            streams: false,
        })
    });
    let streams = streams.iter().filter_map(|contract| {
        Some(Declared {
            address: contract.address,
            http: contract.http.as_ref()?,
            input: contract.input,
            streams: true,
        })
    });
    commands.chain(streams)
}

/// The route of a contract with the template of its path, for the matcher and for people.
fn route_of(declared: &Declared<'_>, number: usize) -> Result<(String, String, Route), String> {
    let Declared { address, http, .. } = declared;
    let shape = Shape::of(declared.input);
    let version = address.service().version();
    let template = template(version, http.path)?;
    let names: Vec<&'static str> = http.path_names().collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(format!("has the segment {{{name}}} twice"));
        }
        shape
            .kind(name)
            .map_err(|problem| format!("has the segment {{{name}}}, which {problem}"))?;
    }
    let status = StatusCode::from_u16(http.status)
        .ok()
        .filter(StatusCode::is_success)
        .ok_or_else(|| format!("answers {}, which is no status of success", http.status))?;
    let method = Method::from_bytes(http.method.as_str().as_bytes()).expect("every method of a route is one of HTTP");
    let route = Route {
        address: (*address).into(),
        streams: declared.streams,
        number,
        method,
        public: http.public,
        status,
        has_body: http.method.has_body(),
        names,
        shape,
    };
    let path = format!("/api/v{version}{}", http.path);
    Ok((template, path, route))
}

/// The whole path, with positions in place of names.
fn template(version: u16, path: &str) -> Result<String, String> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(format!("is {path:?}, which does not begin with a slash"));
    };
    let mut template = format!("/api/v{version}");
    for (at, segment) in rest.split('/').enumerate() {
        let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}', '*']) => {
                template.push_str(&format!("/{{p{at}}}"));
            }
            None if !segment.is_empty() && segment.bytes().all(is_plain) => {
                template.push('/');
                template.push_str(segment);
            }
            _ => {
                return Err(format!(
                    "is {path:?}, where a segment is neither a {{name}} nor made of letters, digits, '-', '.', '_' and '~'"
                ));
            }
        }
    }
    Ok(template)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_templates_and_odd_ones_are_refused() {
        let table = [
            ("/users", Some("/api/v2/users")),
            ("/users/{id}", Some("/api/v2/users/{p1}")),
            ("/a/{b}/c/{d}", Some("/api/v2/a/{p1}/c/{p3}")),
            ("/well-known/x.y_z~", Some("/api/v2/well-known/x.y_z~")),
            ("users", None),
            ("", None),
            ("/", None),
            ("/users/", None),
            ("//users", None),
            ("/users/{}", None),
            ("/users/{*rest}", None),
            ("/users/a{id}", None),
            ("/users?x=1", None),
            ("/a b", None),
        ];
        for (path, expected) in table {
            assert_eq!(template(2, path).ok().as_deref(), expected, "{path:?}");
        }
    }
}
