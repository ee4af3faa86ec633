"""What a client that has never heard of us gets from a running system, and what a hostile one does not.

`check.py PROGRAM BROKER URL FOLDER`. Two nodes: `front` serves no command that is asked here, `back` has the user and the
probe. Every check is a function of the stage; the first that fails says what was seen, and the exit code is 1.
"""

import json
import os
import queue
import re
import secrets
import subprocess
import sys
import threading
import time

from clients import CLIENTS, Refused
from node import Ledger, Node, wait_for

RUN = "probe.1.run"
FLOOD = int(os.environ.get("FOREIGN_FLOOD", "100000"))
BACKLOG = int(os.environ.get("FOREIGN_BACKLOG", "50000"))


class Stage:
    """The nodes, the client, and what they are called."""

    def __init__(self, program, kind, url, folder):
        self.program, self.kind, self.url, self.folder = program, kind, url, folder
        self.namespace = "f" + secrets.token_hex(4)
        self.ledger = Ledger(folder)
        probe = ["--services", "user,probe", "--probe", str(self.ledger.path), "--probe-lease", "3s"]
        self.nodes = []
        try:
            self.back = self.node("back", probe)
            self.front = self.node("front", ["--services", "email"])
            self.client = CLIENTS[kind](url, self.namespace)
        except BaseException:
            self.end()
            raise

    def node(self, name, flags):
        self.nodes.append(Node(self.program, self.folder, name, self.url, self.namespace, flags))
        return self.nodes[-1]

    def end(self):
        for node in self.nodes:
            node.kill()

    def command(self, address):
        return f"{self.namespace}.cmd.{address}"

    def event(self, name):
        return f"{self.namespace}.evt.{name}"

    def call(self, address, body, headers=None, limit=10.0):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.call(self.command(address), body, headers, limit)

    def run(self, **body):
        return self.call(RUN, body)

    def still_serves(self):
        answer = self.run(id=fresh("after"))
        expect(is_reply(answer), "a right call is served afterwards", answer)
        for node in (self.back, self.front):
            expect(node.is_alive() and not node.panicked(), f"{node.name} lives and did not panic", node.panicked())


def expect(holds, what, seen=None):
    if not holds:
        raise AssertionError(f"{what}; seen: {str(seen)[:600]}")


def fresh(word):
    return f"{word}-{secrets.token_hex(6)}"


def is_reply(answer):
    return answer is not None and "rs-type" not in answer[0]


def failure(answer, code, executed):
    expect(answer is not None, f"an answer comes, {code}", answer)
    headers, body = answer
    expect(headers.get("rs-type") == "failure", "a failure says so in its header", answer)
    body = json.loads(body)
    expect((body["code"], body["executed"]) == (code, executed), f"it is {code}, executed {executed}", body)
    expect(isinstance(body["message"], str) and body["message"], "it has a message", body)
    return body


def a_call_without_any_header_gets_the_reply(stage):
    answer = stage.call("user.1.create_user", {"name": "Ada", "email": "ada@example.org"})
    expect(is_reply(answer), "the reply comes", answer)
    user = json.loads(answer[1])
    expect(user["name"] == "Ada" and user["id"], "it is the user", user)
    ours = [name for name in answer[0] if name.startswith("rs-")]
    expect(not ours or ours == ["rs-schema"], "a success bears no header of ours", answer[0])
    found = stage.call("user.1.get_user", {"id": user["id"]})
    expect(json.loads(found[1]) == user, "the same user is found", found)


def a_failure_arrives_as_the_wire_page_says(stage):
    grace = {"name": "Grace", "email": "grace@example.org"}
    expect(is_reply(stage.call("user.1.create_user", grace)), "the first is created")
    failure(stage.call("user.1.create_user", grace), "conflict", "yes")
    failure(stage.run(id=fresh("fails"), fail="forbidden"), "forbidden", "yes")
    body = failure(stage.call("user.1.create_user", b"{}"), "invalid", "no")
    expect("name" in json.dumps(body), "it names the field", body)
    failure(stage.call("user.1.create_user", b"\xff\xfe{"), "invalid", "no")
    failure(stage.call("user.1.create_user", b""), "invalid", "no")


def an_unknown_command_is_not_found_at_once(stage):
    begun = time.monotonic()
    failure(stage.call("user.1.greet", b"{}"), "not_found", "no")
    took = time.monotonic() - begun
    expect(took < 2.0, "it takes no timeout", took)


def malformed_headers_are_passed_over(stage):
    broken = [{"rs-timeout-ms": value} for value in ("abc", "-1", "9" * 40, "", "1e3")]
    broken += [{"rs-hops": "300"}, {"rs-hops": "x"}, {"rs-attempt": "0"}, {"rs-attempt": "-1"}, {"rs-id": "zz"},
               {"rs-id": "0" * 33}, {"rs-correlation": "1"}, {"rs-causation": "ü"}, {"rs-key": "k" * 129},
               {"rs-principal": "p" * 300}, {"rs-tenant": "%zz%"}, {"rs-v": "99"}, {"rs-v": "x"}, {"rs-sent": "-5"},
               {"traceparent": "00-xyz-1-01"}, {"tracestate": "s" * 600}, {"rs-schema": "nothing"}, {"rs-seq": "-1"}]
    for headers in broken:
        answer = stage.call(RUN, {"id": fresh("header")}, headers)
        expect(is_reply(answer), f"served in spite of {headers}", answer)
    many = {f"x-{number}": "v" for number in range(200)}
    expect(is_reply(stage.call(RUN, {"id": fresh("header")}, many)), "served with 200 foreign headers")


def an_unknown_content_type_is_invalid(stage):
    before = stage.back.total("outcome=\"invalid\"")
    types = ["application/xml", "text/plain", "application/octet-stream", "application/vnd.roadshow.bincode;v=1", "x" * 200]
    for content_type in types:
        identity = fresh("type")
        answer = stage.call(RUN, {"id": identity}, {"content-type": content_type})
        failure(answer, "invalid", "no")
        expect(identity not in stage.ledger.starts(), "it did not run", content_type)
    counted = stage.back.total("outcome=\"invalid\"") - before
    expect(counted >= len(types), "each is counted in /metrics", counted)
    expect(is_reply(stage.call(RUN, {"id": fresh("type")}, {"content-type": "application/json; charset=utf-8"})), "JSON is read")


def hostile_reply_addresses_are_refused(stage):
    traps = [stage.client.listen(subject) for subject in traps_of(stage)]
    before = stage.back.total("reason=\"reply_address\"")
    for number, address in enumerate(stage.client.hostile()):
        stage.client.send(stage.command(RUN), json.dumps({"id": f"hostile-{number}"}).encode(), None, address, b"c")
    # One sent afterwards is answered, so the others were looked at.
    stage.still_serves()
    expect(not stage.ledger.starts("hostile-"), "none of them ran", stage.ledger.starts("hostile-"))
    # The taps hear the answers to the right calls, too.
    own = stage.client.reply_address().replace("/", ".")
    for trap in traps:
        heard = [message for message in drain(trap) if is_an_answer(message) and message[0] != own]
        expect(not heard, "nothing was published there", heard)
    counted = stage.back.total("reason=\"reply_address\"") - before
    expect(counted >= len(stage.client.hostile()), "they are counted in /metrics", counted)


def traps_of(stage):
    ns = stage.namespace
    if stage.kind == "nats":
        return ["victim", "victim.>", "_inbox.>", "_INBOXES.>", f"{ns}.>", "$KV.>"]
    if stage.kind == "amqp":
        return ["victim", "#"]
    return ["victim/#", f"{ns}/#", "other/#", "/#"]


def is_an_answer(message):
    """What a reply or a failure of the probe would look like; heartbeats and what we sent ourselves are none."""
    headers, body = message[1], message[2]
    # What was sent by this very check is heard by taps as well: it has the id and nothing else.
    return headers.get("rs-type") == "failure" or b'"attempt"' in body


def drain(heard):
    messages = []
    while True:
        try:
            messages.append(heard.get_nowait())
        except queue.Empty:
            return messages


def a_bare_event_gets_an_id_and_is_delivered(stage):
    identity = fresh("bare")
    stage.client.send(stage.event("probe.event"), json.dumps({"id": identity}).encode())
    expect(wait_for(lambda: identity in stage.ledger.starts(), 15), "it is delivered", stage.ledger.starts("bare"))
    stage.client.send(stage.event("user.created"), json.dumps({"id": "u1", "email": "bare@example.org"}).encode())
    said = lambda: [line for line in stage.front.log.read_text().splitlines() if "bare@example.org" in line]
    expect(wait_for(said, 15), "the mail is sent", stage.front.log.read_text()[-600:])
    expect(re.search(r"[0-9a-f]{32}", said()[0]), "its line bears an id", said())


def a_command_that_asks_for_no_answer_runs(stage):
    identity = fresh("silent")
    stage.client.send(stage.command(RUN), json.dumps({"id": identity}).encode())
    expect(wait_for(lambda: identity in stage.ledger.starts(), 10), "it runs", stage.ledger.starts("silent"))


def forged_replies_to_guessed_inboxes_are_ignored(stage):
    tap = stage.client.listen(stage.client.tap_all if stage.kind != "nats" else f"{stage.namespace}.inbox.>")
    root = []

    def sees_an_inbox():
        for subject, headers, _ in drain(tap):
            told = f"{subject} {headers.get('reply-to', '')}".replace("/", ".")
            found = re.search(rf"{stage.namespace}\.inbox\.front\.i[0-9a-z]+", told)
            if found:
                root.append(found.group(0))
        return bool(root)

    # What goes to an inbox of RabbitMQ passes no exchange to listen at; a command says where its answer goes.
    stage.front.post("/_node/call/probe/1/run", {"id": fresh("asked")})
    expect(wait_for(sees_an_inbox, 15), "the node's echo or its command shows its inbox to whoever may listen to all")
    answers, identity = [], fresh("forged")
    ask = threading.Thread(target=lambda: answers.append(
        stage.front.post("/_node/call/probe/1/run", {"id": identity, "sleep_ms": 3_000})))
    ask.start()
    expect(wait_for(lambda: identity in stage.ledger.starts(), 10), "the call is at work")
    forged = json.dumps({"id": "forged", "node": "evil", "incarnation": 1, "attempt": 1}).encode()
    other_life = re.sub(r"\.i[0-9a-z]+$", ".i1", root[-1])
    for _ in range(2_000):
        stage.client.send(f"{root[-1]}.c{secrets.token_hex(16)}", forged)
    for word in ("", ".c", ".c0", ".c" + "0" * 31, ".c" + "g" * 32, ".x", ".c" + "0" * 64):
        stage.client.send(root[-1] + word, forged)
    stage.client.send(f"{other_life}.c{secrets.token_hex(16)}", forged)
    ask.join(30)
    status, reply = answers[0]
    expect(status == 200 and reply["id"] == identity and reply["node"] == "back", "the true reply is believed", answers)
    stage.still_serves()


def names_with_other_signs_are_refused_and_nothing_is_sent(stage):
    tap = stage.client.listen(stage.client.tap_all if stage.kind != "nats" else ">")
    words = ["*", ">", "a.b", "a b", "a\r\nPUB x 1", "#", "+", "/", "$share/g/x", "$SYS", "$JS.API.STREAM.DELETE.X",
             "$KV.b.k", "amq.x", "..", ".a", "a.", "a\u202eb", "a*", "x" * 256, "x" * 65_536, ""]
    where = ["--event-bridge", stage.url, "--namespace", stage.namespace]
    for word in words:
        asked = [["call", f"user.1.{word}", "{}"], ["call", f"{word}.1.run", "{}"], ["emit", f"probe.{word}", "{}"]]
        # An event has as many tokens as it likes, so two of these are names.
        for args in asked[:2] if word in ("a.b", "amq.x") else asked:
            ended = subprocess.run([stage.program, *args, *where], capture_output=True, cwd=stage.folder, timeout=20)
            expect(ended.returncode == 2, f"{args[:2]!r:.60} is wrong usage", (ended.returncode, ended.stderr))
    for namespace in ("*", "a.b", "a b", ">", "#"):
        ended = subprocess.run([stage.program, "call", "user.1.get_user", "{}", "--event-bridge", stage.url,
                                "--namespace", namespace], capture_output=True, cwd=stage.folder, timeout=20)
        expect(ended.returncode == 2, f"the namespace {namespace} is wrong usage", ended)
    own = re.compile(rf"^({re.escape(stage.namespace)}\.(inbox|members|reply|node|group|durable)|_INBOX|\$JS|\$SYS|amq\.)")
    strange = [subject for subject, _, _ in drain(tap) if not own.match(subject.replace("/", "."))]
    expect(not strange, "nothing was sent", strange[:10])


def random_bytes_harm_nothing_and_are_counted(stage):
    before, memory = stage.back.total("^roadshow_(calls|refused)_total"), stage.back.resident_mib()
    stage.client.send_many(stage.command(RUN), (secrets.token_bytes(number % 200) for number in range(FLOOD)))
    counted = lambda: stage.back.total("^roadshow_(calls|refused)_total") - before
    # Mosquitto drops what its queue has no room for; the others bring everything.
    floor = FLOOD if stage.kind != "mqtt" else FLOOD // 100
    expect(wait_for(lambda: counted() >= floor, 90, 0.25), f"{floor} of {FLOOD} are counted", counted())
    print(f"       counted {counted():.0f} of {FLOOD}; memory grew by {stage.back.resident_mib() - memory:.0f} MiB")
    expect(not [line for line in stage.ledger.starts() if not line.isprintable()], "none of them ran")
    stage.still_serves()
    expect(stage.back.resident_mib() - memory < 64, "memory is bounded", stage.back.resident_mib() - memory)


def a_flood_of_long_commands_runs_ten_at_a_time(stage):
    ledger = Ledger(stage.folder, "backlog.jsonl")
    flags = ["--services", "probe", "--probe", str(ledger.path), "--probe-concurrency", "10", "--probe-waiting", "0"]
    client = CLIENTS[stage.kind](stage.url, "backlog")
    node = Node(stage.program, stage.folder, "backlog", stage.url, "backlog", flags)
    try:
        address = client.reply_address()
        heard = client.listen(address) if stage.kind == "nats" else None
        memory, peak, watch = node.resident_mib(), [0.0], threading.Event()
        watcher = threading.Thread(target=lambda: watch_memory(node, watch, peak), daemon=True)
        watcher.start()
        bodies = (json.dumps({"id": f"long{number}", "sleep_ms": 30_000}).encode() for number in range(BACKLOG))
        begun = time.monotonic()
        client.send_many("backlog.cmd." + RUN, bodies, address)
        refused = judge_backlog(stage, client, heard, begun)
        watch.set()
        watcher.join()
        starts = ledger.starts()
        grown = peak[0] - memory
        print(f"       started {len(starts)}, refused {refused}, memory grew by {grown:.1f} MiB")
        expect(0 < len(starts) <= 10, "at most ten run", len(starts))
        expect(grown < 32, "memory grows by less than 32 MiB", grown)
        expect(node.is_alive() and not node.panicked(), "the node lives", node.panicked())
    finally:
        node.kill()
        client.close()


def judge_backlog(stage, client, heard, begun):
    """How many were refused. A broker that holds a backlog keeps the rest; on the others each refusal comes at once."""
    if stage.kind == "amqp":
        kept = lambda: backlog_of_rabbit(stage) >= BACKLOG - 20
        expect(wait_for(kept, 20, 0.5), "the broker keeps the rest", backlog_of_rabbit(stage))
        return 0
    answers = heard if heard is not None else client.answers
    floor = BACKLOG - 10 if stage.kind == "nats" else BACKLOG // 100
    expect(wait_for(lambda: answers.qsize() >= floor, 20), f"{floor} are refused", answers.qsize())
    seen = [-1]

    def is_silent():
        silent, seen[0] = seen[0] == answers.qsize(), answers.qsize()
        return silent

    wait_for(is_silent, 15, 1.0)
    took = time.monotonic() - begun
    expect(took < 28, "they are refused long before a handler ends", took)
    refusals = drain(answers)
    codes = {json.loads(body).get("code") for _, _, body in refusals}
    executed = {json.loads(body).get("executed") for _, _, body in refusals}
    expect(codes == {"exhausted"} and executed == {"no"}, "each is refused exhausted, executed no", (codes, executed))
    return len(refusals)


def backlog_of_rabbit(stage):
    """Messages in the queues of the namespace, as a passive declaration counts them; what is out to consumers is not in it."""
    import pika

    connection = pika.BlockingConnection(pika.URLParameters(stage.url))
    try:
        channel = connection.channel()
        return channel.queue_declare("backlog.cmd=probe=1=run", passive=True).method.message_count
    finally:
        connection.close()


def watch_memory(node, stop, peak):
    while not stop.wait(0.1):
        if node.is_alive():
            peak[0] = max(peak[0], node.resident_mib())


CHECKS = [
    a_call_without_any_header_gets_the_reply,
    a_failure_arrives_as_the_wire_page_says,
    an_unknown_command_is_not_found_at_once,
    malformed_headers_are_passed_over,
    an_unknown_content_type_is_invalid,
    a_command_that_asks_for_no_answer_runs,
    a_bare_event_gets_an_id_and_is_delivered,
    hostile_reply_addresses_are_refused,
    forged_replies_to_guessed_inboxes_are_ignored,
    names_with_other_signs_are_refused_and_nothing_is_sent,
    random_bytes_harm_nothing_and_are_counted,
    a_flood_of_long_commands_runs_ten_at_a_time,
]


def main():
    program, kind, url, folder = sys.argv[1:5]
    wanted = sys.argv[5:]
    stage, failed = Stage(program, kind, url, folder), 0
    try:
        for check in CHECKS:
            if wanted and check.__name__ not in wanted:
                continue
            name, begun = check.__name__.replace("_", " "), time.monotonic()
            try:
                check(stage)
                print(f"  ok   {name} ({time.monotonic() - begun:.1f} s)", flush=True)
            except (AssertionError, Refused) as finding:
                failed += 1
                print(f"  FAIL {name}: {finding}", flush=True)
    finally:
        stage.end()
    print(f"{kind}: {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


main()
