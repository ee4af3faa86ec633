//! Channels, operations and messages of services.
//!
//! Ids in the document are the names that people know: a command's address, an event's name, a subscription's name behind
//! its service. None of them can meet another: an address has a number in it, and a token never is one.

use std::fmt::Write as _;

use roadshow_bridges::{Namespace, Token};
use roadshow_services::{
    Address, CommandContract, CommandNotes, EventContract, SchemaOf, ServiceContract, StreamContract,
    SubscriptionContract,
};
use serde_json::{Map, Value, json};

use super::bridge::Broker;
use super::document::{COMMAND_HEADERS, EVENT_HEADERS, FAILURE, FAILURE_HEADERS};
use super::schemas::Schemas;

/// The message that every command may be answered with. Events have letters first, so none is called this.
const FAILURE_MESSAGE: &str = "_failure";

/// A document's channels, operations and messages as they grow.
pub(super) struct Channels<'a> {
    namespace: &'a Namespace,
    broker: Broker<'a>,
    pub(super) channels: Map<String, Value>,
    pub(super) operations: Map<String, Value>,
    pub(super) messages: Map<String, Value>,
    pub(super) schemas: Schemas,
}

impl<'a> Channels<'a> {
    pub(super) fn new(namespace: &'a Namespace, broker: Broker<'a>, schemas: Schemas) -> Self {
        Self {
            namespace,
            broker,
            channels: Map::new(),
            operations: Map::new(),
            messages: Map::new(),
            schemas,
        }
    }

    /// Adds what services take and send. What an event means by its name is said by who emits it, so subscribers come last.
    pub(super) fn add(&mut self, contracts: &[&ServiceContract]) {
        for contract in contracts {
            for command in &contract.commands {
                self.add_command(command);
            }
            for stream in &contract.streams {
                self.add_stream(stream);
            }
            for event in &contract.emits {
                self.add_emitted(contract, event);
            }
        }
        for contract in contracts {
            for subscription in &contract.subscriptions {
                self.add_subscription(contract, subscription);
            }
        }
    }

    fn add_command(&mut self, command: &CommandContract) {
        let id = command.address.to_string();
        let reply_id = format!("{id}.reply");
        let request = self.add_message(&format!("{id}.request"), command.input, COMMAND_HEADERS.into());
        let reply = self.add_message(&reply_id, command.reply, None);
        let examples = |of: fn(&roadshow_services::CommandExample) -> &Value| -> Vec<Value> {
            let payloads = command.notes.examples.iter().map(of);
            payloads.map(|payload| json!({"payload": payload})).collect()
        };
        self.give_examples(&request, examples(|example| &example.input));
        self.give_examples(&reply, examples(|example| &example.reply));
        self.add_failure();
        let address = self.broker.address(&self.namespace.command_subject(command.address));
        self.add_channel(
            &id,
            Some(&address),
            "Requests: one instance gets each",
            &[("request", &request)],
        );
        let answers = [("reply", reply.as_str()), ("failure", FAILURE_MESSAGE)];
        self.add_channel(&reply_id, None, "Wherever the request wants its answer", &answers);
        let mut operation = json!({
            "action": "receive",
            "channel": at_channel(&id),
            "messages": [in_channel(&id, "request")],
            "reply": {
                "channel": at_channel(&reply_id),
                "messages": [in_channel(&reply_id, "reply"), in_channel(&reply_id, "failure")],
            },
            "tags": tags(command.address, &command.notes),
            "x-idempotent": command.idempotent,
            "x-deadline-ms": millis(command.limits.deadline),
        });
        self.tell(&mut operation, &command.notes, &request);
        self.operations.insert(id, operation);
    }

    fn add_stream(&mut self, stream: &StreamContract) {
        let id = stream.address.to_string();
        let items_id = format!("{id}.items");
        let open = self.add_message(&format!("{id}.open"), stream.input, COMMAND_HEADERS.into());
        let item = self.add_message(&format!("{id}.item"), stream.item, None);
        let examples = |of: fn(&roadshow_services::CommandExample) -> &Value| -> Vec<Value> {
            let payloads = stream.notes.examples.iter().map(of);
            payloads.map(|payload| json!({"payload": payload})).collect()
        };
        self.give_examples(&open, examples(|example| &example.input));
        self.give_examples(&item, examples(|example| &example.reply));
        self.add_failure();
        let address = self.broker.address(&self.namespace.command_subject(stream.address));
        let text = "Openings of streams, with the header `rs-type: open`: one instance gets each";
        self.add_channel(&id, Some(&address), text, &[("open", &open)]);
        let frames = [("item", item.as_str()), ("failure", FAILURE_MESSAGE)];
        let text = "Wherever the opening wants its frames: items with `rs-type: frame`, one `rs-type: end` or failure";
        self.add_channel(&items_id, None, text, &frames);
        let mut operation = json!({
            "action": "receive",
            "channel": at_channel(&id),
            "messages": [in_channel(&id, "open")],
            "reply": {
                "channel": at_channel(&items_id),
                "messages": [in_channel(&items_id, "item"), in_channel(&items_id, "failure")],
            },
            "tags": tags(stream.address, &stream.notes),
            "x-stream": true,
            "x-window": stream.window,
            "x-heartbeat-ms": millis(stream.heartbeat),
            "x-deadline-ms": millis(stream.limits.deadline),
        });
        if let Some(duration) = stream.max_duration {
            operation["x-max-duration-ms"] = millis(duration).into();
        }
        self.tell(&mut operation, &stream.notes, &open);
        self.operations.insert(id, operation);
    }

    /// The message that commands and streams may be answered with.
    fn add_failure(&mut self) {
        if !self.messages.contains_key(FAILURE_MESSAGE) {
            let failure = message("failure", &reference("schemas", FAILURE), FAILURE_HEADERS.into());
            self.messages.insert(FAILURE_MESSAGE.to_owned(), failure);
        }
    }

    /// Says of an operation what its notes say, or else the type of its input.
    fn tell(&mut self, operation: &mut Value, notes: &CommandNotes, input: &str) {
        let own = notes.summary.map(str::to_owned);
        if let Some(summary) = own.or_else(|| self.schemas.first_line(&self.messages[input]["payload"])) {
            operation["summary"] = summary.into();
        }
        if let Some(description) = description(notes) {
            operation["description"] = description.into();
        }
        if notes.deprecated {
            operation["x-deprecated"] = true.into();
        }
    }

    fn add_emitted(&mut self, contract: &ServiceContract, event: &EventContract) {
        let id = event.name.to_string();
        let subject = self.namespace.event_subject(event.name);
        let name = self.add_event(&id, &[&contract.id.to_string()], event.schema);
        let address = self.broker.address(&subject);
        self.add_channel(
            &id,
            Some(&address),
            "Events: every subscription gets each",
            &[(&name, &name)],
        );
        self.operations.insert(
            format!("{}.emit.{id}", contract.id),
            json!({
                "action": "send",
                "summary": format!("{} tells that it has happened", contract.id),
                "channel": at_channel(&id),
                "messages": [in_channel(&id, &name)],
                "tags": [{"name": contract.id.name()}],
            }),
        );
    }

    fn add_subscription(&mut self, contract: &ServiceContract, subscription: &SubscriptionContract) {
        let id = subscription.event.to_string();
        let own = subscription.name.splitn(3, '=').nth(2).unwrap_or(&subscription.name);
        let own = own.replace('=', ".");
        let subject = self.namespace.event_subject(subscription.event);
        let name = self.add_event(&id, &[&contract.id.to_string(), &own], subscription.schema);
        let address = self.broker.address(&subject);
        self.add_channel(
            &id,
            Some(&address),
            "Events: every subscription gets each",
            &[(&name, &name)],
        );
        let mut operation = json!({
            "action": "receive",
            "summary": format!("{} is told", contract.id),
            "channel": at_channel(&id),
            "messages": [in_channel(&id, &name)],
            "tags": [{"name": contract.id.name()}],
            "x-durable": subscription.durable,
            "x-every-instance": subscription.every_instance,
            "x-attempts": subscription.attempts,
            "x-window": subscription.window,
            "x-deadline-ms": millis(subscription.deadline),
        });
        if !subscription.every_instance {
            operation["x-group"] = subscription.name.as_str().into();
        }
        self.operations.insert(format!("{}.on.{own}", contract.id), operation);
        if subscription.durable {
            self.add_dead_letters(contract, &own, &name);
        }
    }

    /// Where a durable subscription's deliveries go that nobody could handle.
    fn add_dead_letters(&mut self, contract: &ServiceContract, own: &str, event: &str) {
        let Ok(token) = own.parse::<Token>() else { return };
        let id = format!("dead.{}.{own}", contract.id);
        let address = self.broker.address(&self.namespace.dead_subject(contract.id, &token));
        let text = "Dead letters: deliveries that nobody could handle, kept for people";
        self.add_channel(&id, Some(&address), text, &[(event, event)]);
        self.operations.insert(
            id.clone(),
            json!({
                "action": "send",
                "summary": format!("Keeps what {} could not handle", contract.id),
                "channel": at_channel(&id),
                "messages": [in_channel(&id, event)],
                "tags": [{"name": contract.id.name()}],
            }),
        );
    }

    /// Adds the message of an event under its name; where somebody means something else by that name, with `whose` behind
    /// it, as much of it as is needed.
    fn add_event(&mut self, event: &str, whose: &[&str], schema: SchemaOf) -> String {
        let payload = self.schemas.of(schema);
        let mut name = event.to_owned();
        for more in whose {
            match self.messages.get(&name) {
                Some(known) if known["payload"] != payload => name = format!("{name}.{more}"),
                _ => break,
            }
        }
        let message = message(event, &payload, EVENT_HEADERS.into());
        self.messages.entry(name.clone()).or_insert(message);
        name
    }

    fn add_message(&mut self, id: &str, schema: SchemaOf, headers: Option<&str>) -> String {
        let payload = self.schemas.of(schema);
        self.messages.insert(id.to_owned(), message(id, &payload, headers));
        id.to_owned()
    }

    fn give_examples(&mut self, message: &str, examples: Vec<Value>) {
        if examples.is_empty() {
            return;
        }
        if let Some(message) = self.messages.get_mut(message) {
            message["examples"] = examples.into();
        }
    }

    /// Adds messages, each under its name in the channel, to a channel that may be there already.
    fn add_channel(&mut self, id: &str, address: Option<&str>, description: &str, messages: &[(&str, &str)]) {
        let binding = self.broker.channel_binding(self.namespace.as_str());
        let has_address = address.is_some();
        let channel = self
            .channels
            .entry(id)
            .or_insert_with(|| json!({"address": address, "description": description, "messages": {}}));
        if let Some(binding) = binding.filter(|_| has_address) {
            channel["bindings"] = binding;
        }
        for (name, message) in messages {
            channel["messages"][*name] = reference("messages", message);
        }
    }
}

fn message(name: &str, payload: &Value, headers: Option<&str>) -> Value {
    let mut message = json!({"name": name, "contentType": "application/json", "payload": payload});
    if let Some(headers) = headers {
        message["headers"] = reference("schemas", headers);
        message["correlationId"] = json!({
            "location": "$message.header#/rs-correlation",
            "description": "The conversation. A reply is matched by the transport's own correlation.",
        });
    }
    if headers == Some(FAILURE_HEADERS) {
        message.as_object_mut().map(|message| message.remove("correlationId"));
    }
    message
}

/// What notes say, and the failures that are answered on purpose.
fn description(notes: &CommandNotes) -> Option<String> {
    let mut text = notes.description.unwrap_or_default().to_owned();
    if !notes.failures.is_empty() {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str("It fails on purpose with:\n");
        for (code, when) in &notes.failures {
            // Writing to a text cannot fail.
            let _ = write!(text, "\n- `{code}`: {when}");
        }
    }
    (!text.is_empty()).then_some(text)
}

fn tags(address: Address, notes: &CommandNotes) -> Vec<Value> {
    let own = [address.service().name()];
    let tags = if notes.tags.is_empty() { &own[..] } else { &notes.tags };
    tags.iter().map(|tag| json!({"name": tag})).collect()
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn reference(section: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{section}/{name}")})
}

fn at_channel(id: &str) -> Value {
    json!({"$ref": format!("#/channels/{id}")})
}

fn in_channel(channel: &str, message: &str) -> Value {
    json!({"$ref": format!("#/channels/{channel}/messages/{message}")})
}
