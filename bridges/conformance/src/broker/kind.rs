//! Which brokers there are, and how each is called, reached and installed.

use std::fmt;

/// A broker that the suite can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BrokerKind {
    /// nats-server, with JetStream.
    Nats,
    /// RabbitMQ.
    Rabbit,
    /// Mosquitto, an MQTT 5 broker.
    Mosquitto,
}

impl BrokerKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Nats, Self::Rabbit, Self::Mosquitto];

    /// The name of its program.
    pub const fn server(self) -> &'static str {
        match self {
            Self::Nats => "nats-server",
            Self::Rabbit => "rabbitmq-server",
            Self::Mosquitto => "mosquitto",
        }
    }

    /// The package of Debian that brings it.
    pub const fn package(self) -> &'static str {
        self.server()
    }

    /// The environment variable that names one which runs already.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Nats => "TEST_NATS_URL",
            Self::Rabbit => "TEST_AMQP_URL",
            Self::Mosquitto => "TEST_MQTT_URL",
        }
    }

    /// The port where it usually listens.
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Nats => 4222,
            Self::Rabbit => 5672,
            Self::Mosquitto => 1883,
        }
    }

    /// The URL of one on this machine. Without a user RabbitMQ is greeted as its guest.
    pub fn url(self, port: u16, user: Option<(&str, &str)>, tls: bool) -> String {
        let scheme = match (self, tls) {
            (Self::Nats, false) => "nats",
            (Self::Nats, true) => "tls",
            (Self::Rabbit, false) => "amqp",
            (Self::Rabbit, true) => "amqps",
            (Self::Mosquitto, false) => "mqtt",
            (Self::Mosquitto, true) => "mqtts",
        };
        let guest = (self == Self::Rabbit).then_some(("guest", "guest"));
        let who = user.or(guest).map(|(name, password)| format!("{name}:{password}@"));
        format!("{scheme}://{}127.0.0.1:{port}", who.unwrap_or_default())
    }
}

impl fmt::Display for BrokerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.server())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_the_user_who_is_let_in() {
        let table = [
            (BrokerKind::Nats.url(1, None, false), "nats://127.0.0.1:1"),
            (BrokerKind::Rabbit.url(2, None, true), "amqps://guest:guest@127.0.0.1:2"),
            (
                BrokerKind::Mosquitto.url(3, Some(("ada", "pw")), false),
                "mqtt://ada:pw@127.0.0.1:3",
            ),
        ];
        for (url, text) in table {
            assert_eq!(url, text);
        }
    }
}
