//! A schema as a person reads it: fields under each other, each with its type in a few words, what bounds it and what it
//! is for. References are followed; a type within itself is named and not followed again.

use serde_json::{Map, Value};

use crate::docs_page::html::Html;
use crate::docs_page::prose;
use crate::openapi::{Ordered, bounds as natural_bounds};

/// How deep fields within fields are shown.
const DEPTH_MAX: usize = 8;

/// Writes the types of one document.
#[derive(Debug)]
pub(crate) struct Types<'a> {
    definitions: &'a Ordered<Value>,
    /// The named types that are being shown, the outermost first.
    within: Vec<&'a str>,
}

impl<'a> Types<'a> {
    pub(crate) fn new(definitions: &'a Ordered<Value>) -> Self {
        Types {
            definitions,
            within: Vec::new(),
        }
    }

    /// A type in a few words.
    pub(crate) fn words(&self, schema: &Value) -> String {
        if let Some((name, _)) = self.definition(schema) {
            return name.to_owned();
        }
        if let Some(value) = schema.get("const") {
            return value.to_string();
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            return values.join(" | ");
        }
        for (word, between) in [("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")] {
            if let Some(parts) = schema.get(word).and_then(Value::as_array) {
                let mut words: Vec<String> = parts.iter().map(|part| self.words(part)).collect();
                words.dedup();
                return words.join(between);
            }
        }
        match schema.get("type") {
            Some(Value::String(name)) => self.of_type(name, schema),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                let words: Vec<String> = names.map(|name| self.of_type(name, schema)).collect();
                words.join(" or ")
            }
            _ if schema.get("properties").is_some() => "object".to_owned(),
            _ => "anything".to_owned(),
        }
    }

    fn of_type(&self, name: &str, schema: &Value) -> String {
        let of = |word: &str| {
            schema
                .get(word)
                .filter(|inner| inner.is_object())
                .map(|inner| self.words(inner))
        };
        match name {
            "array" => of("items").map_or_else(|| "list".to_owned(), |item| format!("list of {item}")),
            "object" if schema.get("properties").is_none() => {
                of("additionalProperties").map_or_else(|| "object".to_owned(), |value| format!("map of {value}"))
            }
            "string" | "integer" => match schema.get("format").and_then(Value::as_str) {
                Some(format) => format!("{name}, {format}"),
                None => name.to_owned(),
            },
            name => name.to_owned(),
        }
    }

    /// What bounds a value, in a few words each.
    pub(crate) fn bounds(schema: &Value) -> Vec<String> {
        let number = |word: &str| schema.get(word).filter(|bound| bound.is_number()).map(Value::to_string);
        let mut bounds = Vec::new();
        bounds.extend(range(number("minLength"), number("maxLength"), " characters"));
        bounds.extend(range(number("minItems"), number("maxItems"), " items"));
        // The bounds of a whole type say no more than its name.
        let format = schema.get("format").and_then(Value::as_str);
        let (least, most) = format.and_then(natural_bounds).unzip();
        let beyond = |word: &str, natural: Option<Value>| number(word).filter(|_| schema.get(word) != natural.as_ref());
        bounds.extend(range(beyond("minimum", least), beyond("maximum", most), ""));
        bounds.extend(number("exclusiveMinimum").map(|bound| format!("above {bound}")));
        bounds.extend(number("exclusiveMaximum").map(|bound| format!("below {bound}")));
        bounds.extend(number("multipleOf").map(|step| format!("in steps of {step}")));
        if schema
            .get("uniqueItems")
            .is_some_and(|unique| *unique == Value::Bool(true))
        {
            bounds.push("no item twice".to_owned());
        }
        if let Some(default) = schema.get("default").filter(|default| !default.is_null()) {
            bounds.push(format!("default {default}"));
        }
        bounds
    }

    /// Writes what a type is made of, if it is made of anything.
    pub(crate) fn write(&mut self, html: &mut Html, schema: &'a Value) {
        if self.within.len() > DEPTH_MAX {
            return;
        }
        if let Some((name, definition)) = self.definition(schema) {
            if self.within.contains(&name) {
                html.tags("<p class=\"again\">").text(name).tags(", as above</p>");
                return;
            }
            self.within.push(name);
            self.write(html, definition);
            self.within.pop();
            return;
        }
        if let Some(Value::Object(properties)) = schema.get("properties") {
            self.fields(html, schema, properties);
        }
        for word in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(word).filter(|inner| inner.is_object()) {
                self.write(html, inner);
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.write(html, part);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(parts) = schema.get(word).and_then(Value::as_array) {
                self.forms(html, parts);
            }
        }
    }

    fn fields(&mut self, html: &mut Html, schema: &Value, properties: &'a Map<String, Value>) {
        if properties.is_empty() {
            return;
        }
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
        let mut fields: Vec<(&String, &Value, bool)> = properties
            .iter()
            .map(|(name, field)| (name, field, is_required(name)))
            .collect();
        fields.sort_by_key(|(_, _, required)| !required);
        html.tags("<ul class=\"fields\">\n");
        for (name, field, required) in fields {
            html.tags("<li>");
            self.field(html, name, field, required);
            html.tags("</li>\n");
        }
        html.tags("</ul>\n");
    }

    fn field(&mut self, html: &mut Html, name: &str, field: &'a Value, required: bool) {
        html.tags("<div class=\"field\"><code class=\"name\">").text(name);
        html.tags(if required {
            "</code> <span class=\"required\">required</span> "
        } else {
            "</code> "
        });
        self.kind(html, field);
        html.tags("</div>");
        let of_type = self.definition(field).map_or(field, |(_, definition)| definition);
        let description = [field, of_type]
            .into_iter()
            .find_map(|schema| schema.get("description")?.as_str());
        if let Some(text) = description {
            html.tags("<div class=\"about\">");
            prose::write(html, text);
            html.tags("</div>");
        }
        self.pattern(html, field);
        self.write(html, field);
    }

    /// Writes a type with its bounds.
    pub(crate) fn kind(&self, html: &mut Html, schema: &Value) {
        html.tags("<span class=\"type\">")
            .text(&self.words(schema))
            .tags("</span>");
        let of_type = self.definition(schema).map_or(schema, |(_, definition)| definition);
        if let Some(values) = self
            .definition(schema)
            .and_then(|(_, definition)| definition.get("enum")?.as_array())
        {
            let values: Vec<String> = values.iter().map(Value::to_string).collect();
            html.tags(" <span class=\"bound\">")
                .text(&values.join(" | "))
                .tags("</span>");
        }
        for bound in Types::bounds(of_type) {
            html.tags(" <span class=\"bound\">").text(&bound).tags("</span>");
        }
    }

    /// Writes what a text must look like, for whoever wants to see it.
    fn pattern(&self, html: &mut Html, schema: &Value) {
        let of_type = self.definition(schema).map_or(schema, |(_, definition)| definition);
        if let Some(pattern) = of_type.get("pattern").and_then(Value::as_str) {
            html.tags("<details class=\"pattern\"><summary>pattern</summary><code>")
                .text(pattern)
                .tags("</code></details>");
        }
    }

    /// Writes the forms of which a value has one.
    fn forms(&mut self, html: &mut Html, parts: &'a [Value]) {
        let parts: Vec<&Value> = parts
            .iter()
            .filter(|part| part.get("type").is_none_or(|name| name != "null"))
            .collect();
        if let [one] = parts[..] {
            return self.write(html, one);
        }
        html.tags("<ul class=\"forms\">\n");
        for part in parts {
            html.tags("<li><div class=\"field\">");
            self.kind(html, part);
            html.tags("</div>");
            if let Some(text) = part.get("description").and_then(Value::as_str) {
                html.tags("<div class=\"about\">");
                prose::write(html, text);
                html.tags("</div>");
            }
            self.write(html, part);
            html.tags("</li>\n");
        }
        html.tags("</ul>\n");
    }

    /// The definition that a schema refers to, with its name.
    pub(crate) fn definition(&self, schema: &Value) -> Option<(&'a str, &'a Value)> {
        let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
        let definitions: &'a Ordered<Value> = self.definitions;
        definitions.iter().find(|(known, _)| *known == name)
    }
}

/// A range in words.
fn range(least: Option<String>, most: Option<String>, what: &str) -> Option<String> {
    match (least, most) {
        (Some(least), Some(most)) if least == most => Some(format!("{least}{what}")),
        (Some(least), Some(most)) => Some(format!("{least} to {most}{what}")),
        (Some(least), None) => Some(format!("at least {least}{what}")),
        (None, Some(most)) => Some(format!("at most {most}{what}")),
        (None, None) => None,
    }
}
