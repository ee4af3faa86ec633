//! What each broker is started with: its program, its arguments and its configuration file.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use super::kind::BrokerKind;
use super::port::free_port;
use super::{BrokerOptions, TlsFiles};

/// The program of RabbitMQ itself. The one on the path changes to another user, whose process would not be our child.
const RABBIT_PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// One process to start.
#[derive(Debug, Default)]
pub(super) struct ProcessLine {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(&'static str, String)>,
}

/// Everything that starting a broker takes; the broker itself is the last process.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) port: u16,
    pub(super) commands: Vec<ProcessLine>,
}

/// Writes the configuration of a broker into its directory.
pub(super) fn launch(kind: BrokerKind, options: &BrokerOptions, data: &Path) -> io::Result<Launch> {
    let port = free_port()?;
    let commands = match kind {
        BrokerKind::Nats => vec![nats(options, data, port)?],
        BrokerKind::Rabbit => rabbit(options, data, port)?,
        BrokerKind::Mosquitto => vec![mosquitto(options, data, port)?],
    };
    Ok(Launch { port, commands })
}

fn nats(options: &BrokerOptions, data: &Path, port: u16) -> io::Result<ProcessLine> {
    let mut text = format!("host: \"127.0.0.1\"\nport: {port}\n");
    if options.jetstream {
        let store = data.join("jetstream");
        let _ = writeln!(
            text,
            "jetstream {{ store_dir: {store:?}, max_mem: 256MB, max_file: 8GB }}"
        );
    }
    if !options.users.is_empty() {
        let user = |(name, password): &(String, String)| format!("{{ user: {name:?}, password: {password:?} }}");
        let users: Vec<_> = options.users.iter().map(user).collect();
        let _ = writeln!(text, "authorization {{ users: [ {} ] }}", users.join(", "));
    }
    if let Some(tls) = &options.tls {
        let (ca, cert, key) = (&tls.ca_file, &tls.cert_file, &tls.key_file);
        let verify = tls.verify_clients;
        let _ = writeln!(
            text,
            "tls {{ ca_file: {ca:?}, cert_file: {cert:?}, key_file: {key:?}, verify: {verify} }}"
        );
    }
    let file = write(data, "nats.conf", text, options)?;
    Ok(ProcessLine {
        program: BrokerKind::Nats.server().to_owned(),
        arguments: vec!["-c".to_owned(), file],
        variables: Vec::new(),
    })
}

fn mosquitto(options: &BrokerOptions, data: &Path, port: u16) -> io::Result<ProcessLine> {
    let mut text = format!(
        "user root\npersistence true\npersistence_location {}/\nautosave_interval 1\nmax_queued_messages 100000\n\
         max_inflight_messages 1000\nset_tcp_nodelay true\n",
        data.display()
    );
    if options.users.is_empty() {
        text.push_str("allow_anonymous true\n");
    } else {
        let _ = writeln!(
            text,
            "allow_anonymous false\npassword_file {}",
            passwords(options, data)?
        );
    }
    let _ = writeln!(text, "listener {port} 127.0.0.1");
    if let Some(tls) = &options.tls {
        let (ca, cert, key) = (tls.ca_file.display(), tls.cert_file.display(), tls.key_file.display());
        let verify = tls.verify_clients;
        let _ = writeln!(
            text,
            "cafile {ca}\ncertfile {cert}\nkeyfile {key}\nrequire_certificate {verify}"
        );
    }
    let file = write(data, "mosquitto.conf", text, options)?;
    Ok(ProcessLine {
        program: BrokerKind::Mosquitto.server().to_owned(),
        arguments: vec!["-c".to_owned(), file],
        variables: Vec::new(),
    })
}

/// Mosquitto reads hashed passwords only, and brings the program that makes them.
fn passwords(options: &BrokerOptions, data: &Path) -> io::Result<String> {
    let file = data.join("passwords");
    let lines: Vec<_> = options
        .users
        .iter()
        .map(|(name, word)| format!("{name}:{word}\n"))
        .collect();
    fs::write(&file, lines.concat())?;
    let status = Command::new("mosquitto_passwd").arg("-U").arg(&file).status()?;
    if !status.success() {
        return Err(io::Error::other(
            "cannot hash the passwords of mosquitto: mosquitto_passwd failed",
        ));
    }
    Ok(file.display().to_string())
}

/// RabbitMQ, and the port mapper of Erlang that it needs: one of our own, because RabbitMQ would leave one behind.
fn rabbit(options: &BrokerOptions, data: &Path, port: u16) -> io::Result<Vec<ProcessLine>> {
    let mut text = String::from("loopback_users = none\nheartbeat = 10\ndisk_free_limit.absolute = 64MB\n");
    match &options.tls {
        None => {
            let _ = writeln!(text, "listeners.tcp.1 = 127.0.0.1:{port}");
        }
        Some(tls) => rabbit_tls(&mut text, tls, port),
    }
    if let Some((name, password)) = options.users.first() {
        let _ = writeln!(text, "default_user = {name}\ndefault_pass = {password}");
    }
    let config = write(data, "rabbitmq.conf", text, options)?;
    let plugins = data.join("enabled_plugins");
    fs::write(&plugins, "[].\n")?;
    let (mapper_port, dist_port) = (free_port()?, free_port()?);
    let at = |name: &str| data.join(name).display().to_string();
    let variables = vec![
        ("HOME", data.display().to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("ERL_EPMD_PORT", mapper_port.to_string()),
        ("RABBITMQ_NODENAME", format!("roadshow{port}@localhost")),
        ("RABBITMQ_DIST_PORT", dist_port.to_string()),
        ("RABBITMQ_MNESIA_BASE", at("mnesia")),
        ("RABBITMQ_LOG_BASE", at("logs")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", plugins.display().to_string()),
        ("RABBITMQ_PID_FILE", at("pid")),
        ("RABBITMQ_CONFIG_FILE", config),
        ("RABBITMQ_CONF_ENV_FILE", at("none")),
        // Replaces the script by the virtual machine, so that our child is the broker itself.
        ("RUNNING_UNDER_SYSTEMD", "1".to_owned()),
    ];
    let mapper = ProcessLine {
        program: "epmd".to_owned(),
        arguments: ["-address", "127.0.0.1", "-port"]
            .map(str::to_owned)
            .into_iter()
            .chain([mapper_port.to_string()])
            .collect(),
        variables: Vec::new(),
    };
    let server = ProcessLine {
        program: RABBIT_PROGRAM.to_owned(),
        arguments: Vec::new(),
        variables,
    };
    Ok(vec![mapper, server])
}

fn rabbit_tls(text: &mut String, tls: &TlsFiles, port: u16) {
    let (ca, cert, key) = (tls.ca_file.display(), tls.cert_file.display(), tls.key_file.display());
    let (verify, fail) = if tls.verify_clients {
        ("verify_peer", true)
    } else {
        ("verify_none", false)
    };
    let _ = writeln!(
        text,
        "listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {ca}\n\
         ssl_options.certfile = {cert}\nssl_options.keyfile = {key}\nssl_options.verify = {verify}\n\
         ssl_options.fail_if_no_peer_cert = {fail}"
    );
}

/// Writes a configuration file with the lines that the options add, and says where it is.
fn write(data: &Path, name: &str, mut text: String, options: &BrokerOptions) -> io::Result<String> {
    for line in &options.lines {
        text.push_str(line);
        text.push('\n');
    }
    let file = data.join(name);
    fs::write(&file, text)?;
    Ok(file.display().to_string())
}
