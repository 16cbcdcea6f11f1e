"""After SIGTERM accepted requests are answered, then the process ends with status 0."""

import json
import re
import socket
import threading
import time

import httpx
import pytest

from tests.serving.process import JSON, wait_for

NOT_ACCEPTED = (httpx.NetworkError, httpx.RemoteProtocolError)
"""Errors of connections that the process did not accept. Its log confirms that it accepted none of them."""


class Client(threading.Thread):
    """Sends requests one after the other over a persistent connection, until the server is gone."""

    def __init__(self, url, body):
        super().__init__()
        self.url, self.body = url, body
        self.statuses, self.ended_at, self.refusal = [], [], None

    def run(self):
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while self.refusal is None:
                try:
                    answer = client.post("/score", content=self.body, headers=JSON)
                except NOT_ACCEPTED as error:
                    self.refusal = error
                else:
                    self.statuses.append(answer.status_code)
                    self.ended_at.append(time.monotonic())


def request_counts(server):
    match = re.search(r"Stopped: (\d+) requests came in, (\d+) were answered", server.log())
    return int(match[1]), int(match[2])


@pytest.mark.parametrize("n_rows", [1, 600])
def test_no_accepted_request_is_lost_under_load(n_rows, trained, start):
    server = start(trained.path, drain_seconds=1.0)
    body = json.dumps({"rows": (trained.rows * 10)[:n_rows]}).encode()
    clients = [Client(server.url, body) for _ in range(4)]
    for client in clients:
        client.start()
    time.sleep(1.0)
    stopped_at = time.monotonic()
    server.terminate()
    for client in clients:
        client.join(30)
    assert server.wait() == 0
    statuses = [status for client in clients for status in client.statuses]
    assert set(statuses) == {200}
    assert request_counts(server) == (len(statuses), len(statuses))  # every request that the server saw has an answer
    late_answers = [t for client in clients for t in client.ended_at if t > stopped_at + 0.1]
    assert late_answers  # the server still answered while it was draining
    assert time.monotonic() - stopped_at < 10
    assert "Traceback" not in server.log()


def test_the_server_is_not_ready_but_answers_while_draining(trained, start):
    server = start(trained.path, drain_seconds=3.0)
    assert "connection" not in server.get("/ready").headers
    server.terminate()
    ready = wait_for(lambda: (answer := server.get("/ready")).status_code == 503 and answer)
    assert ready.json()["error"] == "The server is stopping."
    answer = server.post("/score", {"rows": trained.rows})
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert server.wait() == 0


def test_a_request_whose_body_is_incomplete_at_the_signal_is_answered(trained, start):
    server = start(trained.path, drain_seconds=0.2)
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"rows": trained.rows}).encode()
    head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(head.encode() + body[:100])
        time.sleep(0.5)
        server.terminate()
        server.wait_for_log("Shutting down()")
        time.sleep(0.2)
        with pytest.raises(httpx.ConnectError):
            server.get("/ready")
        connection.sendall(body[100:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert len(json.loads(answer.partition(b"\r\n\r\n")[2])["rows"]) == len(trained.rows)
    assert server.wait() == 0
    assert request_counts(server) == (1, 1)


def test_a_second_signal_ends_the_draining(trained, start):
    server = start(trained.path, drain_seconds=60)
    server.terminate()
    time.sleep(0.3)
    assert server.process.poll() is None
    began = time.monotonic()
    server.terminate()
    server.wait()
    assert time.monotonic() - began < 5
