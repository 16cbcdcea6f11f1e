"""How fast the server of examples/serving answers: ``make serving-load SECONDS=30``.

The server runs in a separate process. A client uses a few local connections and sends one request after the other on
each: single rows to score, and lists of candidates to rank. Client and server share the processor, so the results are
those of a busy machine.
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from sklearn_fsmd.datasets import make_funnel

ROOT = Path(__file__).parents[1]
OPTIONS = {"cwd": ROOT, "env": {**os.environ, "PYTHONPATH": str(ROOT / "examples")}}
COLUMNS = ["user_id", "item_id", "segment", "age", "brand", "price", "hour", "device"]
N_BODIES = 200


def train(path):
    """Train the model of `make serve` in a separate process."""
    command = [sys.executable, "-m", "serving.train", path]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **OPTIONS)


class Server:
    def __init__(self, path, log_path):
        with open(log_path, "wb") as log:
            command = [sys.executable, "-m", "serving", path, "--port=0"]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **OPTIONS)
        while not (match := re.search(r"running on http://127.0.0.1:(\d+)", Path(log_path).read_text())):
            if self.process.poll() is not None:
                raise RuntimeError(f"The server did not start: {Path(log_path).read_text()}")
            time.sleep(0.05)
        self.port = int(match[1])

    def cpu_seconds(self):
        """CPU seconds that the server has used since it started."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def bodies(n_rows):
    """The bodies of requests with different rows."""
    X = make_funnel(N_BODIES * n_rows, random_state=1, return_X_y=True)[0][COLUMNS]
    rows = json.loads(X.to_json(orient="records"))
    return [json.dumps({"rows": rows[i : i + n_rows]}).encode() for i in range(0, len(rows), n_rows)]


def send(port, path, requests, until, seconds):
    """Send one request after the other over one connection, and append the time of each to `seconds`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers, i = {"Content-Type": "application/json"}, 0
    while (start := time.perf_counter()) < until:
        connection.request("POST", path, requests[i % len(requests)], headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"The server answered {answer.status}.")
        seconds.append(time.perf_counter() - start)
        i += 1
    connection.close()


def measure(server, path, n_rows, n_connections, n_seconds):
    requests, seconds = bodies(n_rows), []
    warm_up_end = time.perf_counter() + 0.1 * n_seconds
    send(server.port, path, requests, warm_up_end, [])
    cpu, start = server.cpu_seconds(), time.perf_counter()
    threads = [
        threading.Thread(target=send, args=(server.port, path, requests[t:], start + 0.9 * n_seconds, seconds))
        for t in range(n_connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - start, server.cpu_seconds() - cpu
    p50, p99 = 1000 * np.quantile(seconds, [0.5, 0.99])
    n = len(seconds)
    cpu_per_request = 1000 * cpu / n
    print(
        f"{path}, {n_rows} rows, {n_connections} connections: p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
        f"{n / wall:,.0f} requests/s, {n * n_rows / wall:,.0f} rows/s; "
        f"{cpu_per_request:.2f} ms of the server's CPU per request"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="total time of sending")
    options = parser.parse_args()
    runs = [("/score", 1, 1), ("/score", 1, 4), ("/rank", 100, 4), ("/rank", 1000, 2)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        train(path)
        server = Server(path, Path(folder) / "server.log")
        try:
            for run in runs:
                measure(server, *run, options.seconds / len(runs))
        finally:
            server.close()


if __name__ == "__main__":
    main()
