"""Three clients of brokers behind one face: call, send, listen. Each is the library's usual way, with no header of ours.

A message is `(address, headers, body)`. Subjects are written with dots here; the client of MQTT writes slashes.
"""

import asyncio
import queue
import secrets
import socket
import threading
import time
import urllib.parse

import nats
import paho.mqtt.client as mqtt
import pika
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE_S = 10.0


class Refused(Exception):
    """The client's library or the broker did not let the message out."""


class Nats:
    """nats-py: a request with an inbox."""

    kind = "nats"
    # The server stores a subject with a star as it stands, so a tap hears it.
    tap_all = ">"

    def __init__(self, url, namespace):
        self.namespace = namespace
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.connection = self._do(nats.connect(url, max_reconnect_attempts=0))

    def _do(self, work, limit=PATIENCE_S):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(limit)

    def call(self, subject, body, headers=None, limit=PATIENCE_S):
        try:
            answer = self._do(self.connection.request(subject, body, timeout=limit, headers=headers), limit + 1)
        except nats.errors.TimeoutError:
            return None
        except nats.errors.NoRespondersError:
            return ({"rs-type": "nobody"}, b"")
        return (lowered(answer.headers), answer.data)

    def send(self, subject, body, headers=None, reply_to="", correlation=b""):
        del correlation  # The reply address is the correlation.
        self._do(self.connection.publish(subject, body, reply=reply_to, headers=headers))

    def send_many(self, subject, bodies, reply_to=""):
        async def all_of_them():
            for number, body in enumerate(bodies):
                await self.connection.publish(subject, body, reply=reply_to)
                if number % 1_000 == 0:
                    await self.connection.flush()
            await self.connection.flush()

        self._do(all_of_them(), 120)

    def listen(self, subject):
        heard = queue.Queue()

        async def keep(message):
            heard.put((message.subject, lowered(message.headers), message.data))

        async def subscribe():
            # Room for a whole flood of answers: nothing of the client's own may be lost.
            limits = {"pending_msgs_limit": 1_000_000, "pending_bytes_limit": 1 << 30}
            await self.connection.subscribe(subject, cb=keep, **limits)
            await self.connection.flush()

        self._do(subscribe())
        return heard

    def reply_address(self):
        return self.connection.new_inbox()

    def hostile(self):
        ns = self.namespace
        return [f"$JS.API.STREAM.DELETE.{ns}_evt", "$SYS.REQ.SERVER.PING", "$KV.bucket.key", "victim", "victim.a",
                f"{ns}.cmd.probe.1.run", f"{ns}.evt.probe.event", f"{ns}.cancel.probe.1", f"{ns}.members",
                f"{ns}.node.front.i1", f"{ns}.dead.probe.1.ledger", f"{ns}.inbox.front.i1", f"{ns}.inbox.front",
                "_INBOX", "_INBOX.", "_inbox.a", "_INBOX.*", "_INBOX.>", "_INBOXES.a", f"{ns}.>"]

    def close(self):
        self._do(self.connection.close())
        self.loop.call_soon_threadsafe(self.loop.stop)


class Amqp:
    """pika: a publish to the topic exchange with reply_to and correlation_id, answered through the default exchange."""

    kind = "amqp"
    tap_all = "#"

    def __init__(self, url, namespace):
        self.namespace = namespace
        self.url = url
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.answers = []
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.basic_consume(self.queue, self._keep, auto_ack=True)

    def _keep(self, _channel, method, properties, body):
        self.answers.append((method.routing_key, properties, body))

    def _properties(self, headers, reply_to, correlation):
        headers = dict(headers or {})
        content_type = headers.pop("content-type", None)
        text = correlation.decode("ascii") if correlation else None
        return pika.BasicProperties(headers=headers or None, content_type=content_type, reply_to=reply_to or None,
                                    correlation_id=text)

    def call(self, subject, body, headers=None, limit=PATIENCE_S):
        correlation = secrets.token_hex(8)
        self.send(subject, body, headers, self.queue, correlation.encode())
        until = time.monotonic() + limit
        while time.monotonic() < until:
            self.connection.process_data_events(time_limit=0.05)
            for answer in self.answers:
                if answer[1].correlation_id == correlation:
                    self.answers.remove(answer)
                    return (amqp_headers(answer[1]), answer[2])
        return None

    def send(self, subject, body, headers=None, reply_to="", correlation=b""):
        properties = self._properties(headers, reply_to, correlation)
        self.channel.basic_publish(self.namespace, subject, body, properties)
        self.connection.process_data_events(time_limit=0)

    def send_many(self, subject, bodies, reply_to=""):
        properties = self._properties(None, reply_to, b"many" if reply_to else b"")
        for number, body in enumerate(bodies):
            self.channel.basic_publish(self.namespace, subject, body, properties)
            if number % 1_000 == 0:
                self.connection.process_data_events(time_limit=0)
        self.connection.process_data_events(time_limit=0.1)

    def listen(self, subject, exchange=None):
        """A queue of the client's own, read by a thread of its own: bound to the exchange, or a name by itself."""
        heard, ready = queue.Queue(), threading.Event()

        def keep(_channel, method, properties, body):
            told = {"reply-to": properties.reply_to} if properties.reply_to else {}
            heard.put((method.routing_key, amqp_headers(properties) | told, body))

        def run():
            connection = pika.BlockingConnection(pika.URLParameters(self.url))
            channel = connection.channel()
            if exchange is None and subject == "victim":
                name = channel.queue_declare("victim", exclusive=True).method.queue
            else:
                name = channel.queue_declare("", exclusive=True).method.queue
                channel.queue_bind(name, exchange or self.namespace, subject)
            channel.basic_consume(name, keep, auto_ack=True)
            ready.set()
            channel.start_consuming()

        threading.Thread(target=run, daemon=True).start()
        if not ready.wait(PATIENCE_S):
            raise Refused(f"cannot listen to {subject}")
        return heard

    def reply_address(self):
        return self.queue

    def hostile(self):
        ns = self.namespace
        return ["victim", "amq.topic", "amq.direct", "amq.rabbitmq.trace", "amq.rabbitmq", "amq.gen", "AMQ.GEN-x",
                f"{ns}.cmd.probe.1.run", f"{ns}.evt.probe.event", f"{ns}.cancel.probe.1", f"{ns}.members",
                f"{ns}.node.front.i1", f"{ns}.dead.probe.1.ledger", f"{ns}.inbox.front.i1", f"{ns}.inbox.front",
                "a b", "*", "#", "victim\r\nx", "\u202evictim"]

    def close(self):
        self.connection.close()


class Mqtt:
    """paho-mqtt: an MQTT 5 publish with response topic and correlation data."""

    kind = "mqtt"
    tap_all = "#"

    def __init__(self, url, namespace):
        self.namespace = namespace
        self.listeners = []
        self.subscribed = {}
        self.lock = threading.Condition()
        place = urllib.parse.urlsplit(url)
        self.place = (place.hostname, place.port)
        self.client = self._connect()
        self.answers = self.listen(f"{namespace}.reply.{secrets.token_hex(8)}")
        self.topic = self.listeners[-1][0]

    def _connect(self):
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.on_message = self._heard
        client.on_subscribe = self._confirmed
        client.max_inflight_messages_set(1_000)
        client.on_socket_open = lambda _client, _data, opened: opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = threading.Event()
        client.on_connect = lambda *_: connected.set()
        client.connect(*self.place)
        client.loop_start()
        if not connected.wait(PATIENCE_S):
            raise Refused("cannot connect")
        return client

    def _confirmed(self, _client, _data, number, codes, _properties):
        with self.lock:
            self.subscribed[number] = codes
            self.lock.notify_all()

    def _heard(self, _client, _data, message):
        for topic, heard in list(self.listeners):
            if mqtt.topic_matches_sub(topic, message.topic):
                heard.put((message.topic.replace("/", "."), mqtt_headers(message.properties), message.payload))

    def listen(self, subject):
        topic, heard = subject.replace(".", "/"), queue.Queue()
        self.listeners.append((topic, heard))
        # No packet of ours comes back, so a tap on everything does not hear what the tests themselves send.
        options = mqtt.SubscribeOptions(qos=1, noLocal=subject == self.tap_all)
        _, number = self.client.subscribe(topic, options=options)
        with self.lock:
            if not self.lock.wait_for(lambda: number in self.subscribed, PATIENCE_S):
                raise Refused(f"cannot listen to {topic}")
        return heard

    def _properties(self, headers, reply_to, correlation):
        properties = Properties(PacketTypes.PUBLISH)
        headers = dict(headers or {})
        content_type = headers.pop("content-type", None)
        if content_type is not None:
            properties.ContentType = content_type
        if headers:
            properties.UserProperty = list(headers.items())
        if reply_to:
            properties.ResponseTopic = reply_to
            properties.CorrelationData = correlation
        return properties

    def call(self, subject, body, headers=None, limit=PATIENCE_S):
        correlation = secrets.token_bytes(8)
        self.send(subject, body, headers, self.topic, correlation)
        until = time.monotonic() + limit
        while time.monotonic() < until:
            try:
                _, headers, body = self.answers.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                break
            if headers.get("correlation") == correlation:
                return (headers, body)
        return None

    def send(self, subject, body, headers=None, reply_to="", correlation=b""):
        properties = self._properties(headers, reply_to, correlation)
        sent = self.client.publish(subject.replace(".", "/"), body, qos=1, properties=properties)
        sent.wait_for_publish(PATIENCE_S)

    def send_many(self, subject, bodies, reply_to=""):
        properties = self._properties(None, reply_to, b"many")
        topic, last = subject.replace(".", "/"), None
        # Without acknowledgements: a flood is to be quicker than who has to bear it.
        for number, body in enumerate(bodies):
            last = self.client.publish(topic, body, qos=0, properties=properties)
            if number % 1_000 == 999:
                last.wait_for_publish(PATIENCE_S)
        last.wait_for_publish(PATIENCE_S)

    def reply_address(self):
        return self.topic

    def hostile(self):
        ns = self.namespace
        return ["victim", "victim/a", "$SYS/broker/x", "$share/g/victim", "$share", f"{ns}/cmd/probe/1/run",
                f"{ns}/evt/probe/event", f"{ns}/cancel/probe/1", f"{ns}/members", f"{ns}/node/front/i1",
                f"{ns}/dead/probe/1/ledger", f"{ns}/inbox/front/i1", f"{ns}/inbox/front", f"{ns}/reply",
                f"{ns}/replyx/a", f"{ns}.reply.a", f"other/reply/a", "/", f"/{ns}/reply/a", f"{ns}//reply/a"]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


CLIENTS = {client.kind: client for client in (Nats, Amqp, Mqtt)}


def lowered(headers):
    return {name.lower(): value for name, value in (headers or {}).items()}


def amqp_headers(properties):
    headers = lowered({name: str(value) for name, value in (properties.headers or {}).items()})
    if properties.content_type:
        headers["content-type"] = properties.content_type
    if properties.correlation_id:
        headers["correlation"] = properties.correlation_id
    return headers


def mqtt_headers(properties):
    headers = lowered(dict(getattr(properties, "UserProperty", [])))
    if hasattr(properties, "ContentType"):
        headers["content-type"] = properties.ContentType
    if hasattr(properties, "CorrelationData"):
        headers["correlation"] = properties.CorrelationData
    return headers
