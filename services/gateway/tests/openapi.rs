//! The OpenAPI document and the page made of it: of services with everything that can be declared, and from outside.

#[path = "openapi/document.rs"]
mod document;
#[path = "openapi/page.rs"]
mod page;
#[path = "openapi/served.rs"]
mod served;
#[path = "openapi/shop.rs"]
mod shop;
#[path = "openapi/yaml.rs"]
mod yaml;
