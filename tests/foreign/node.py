"""A node of the program under test, and what can be asked of it from outside."""

import json
import os
import pathlib
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

READY_S = 60


class Node:
    """A node that is ready. `flags` choose its services."""

    def __init__(self, program, folder, name, url, namespace, flags):
        self.name = name
        self.log = pathlib.Path(folder) / f"{name}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ROADSHOW_")}
        command = [program, "up", "--node-id", name, "--http", "127.0.0.1:0", "--namespace", namespace, "--event-bridge",
                   url, "--log", "json", *flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        line = first_line(self.process, READY_S)
        if not line.startswith("ready "):
            self.kill()
            raise RuntimeError(f"{name} does not get ready:\n{self.log.read_text()[-3000:]}")
        self.http = "http://" + line.split("http=")[1].strip()

    def post(self, path, body, headers=None, limit=30):
        """Status and JSON of an answer."""
        all_headers = {"content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.http + path, json.dumps(body).encode(), all_headers)
        try:
            with urllib.request.urlopen(request, timeout=limit) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refusal:
            return refusal.code, json.loads(refusal.read() or b"null")

    def metrics(self):
        with urllib.request.urlopen(self.http + "/metrics", timeout=10) as answer:
            return answer.read().decode()

    def total(self, pattern):
        """The sum of all series whose line matches."""
        lines = (line for line in self.metrics().splitlines() if not line.startswith("#"))
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.search(pattern, line))

    def resident_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024

    def is_alive(self):
        return self.process.poll() is None

    def panicked(self):
        return [line for line in self.log.read_text(errors="replace").splitlines() if "panicked" in line]

    def stop(self):
        self.process.terminate()
        try:
            return self.process.wait(45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None

    def kill(self):
        self.process.kill()
        self.process.wait()


class Ledger:
    """What the probe wrote."""

    def __init__(self, folder, name="ledger.jsonl"):
        self.path = pathlib.Path(folder) / name

    def lines(self):
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def starts(self, wanted=""):
        return [line["id"] for line in self.lines() if line["phase"] == "start" and line["id"].startswith(wanted)]


def first_line(process, limit):
    """The first line that a process prints; it is killed if there is none in time, and then the line is empty."""
    late = threading.Timer(limit, process.kill)
    late.start()
    try:
        return process.stdout.readline()
    finally:
        late.cancel()


def wait_for(condition, limit, every=0.05):
    """Whether a condition came true in time."""
    until = time.monotonic() + limit
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(every)
    return True
