"""A server in a process of its own, in which neither torch nor this library can be imported."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

EXAMPLES = Path(__file__).parents[2] / "examples"
LAUNCH = f"""
import runpy, sys
for name in ("torch", "sklearn", "pandas", "scipy", "sklearn_fsmd", "onnx"):
    sys.modules[name] = None  # an import of it fails
sys.path.insert(0, {str(EXAMPLES)!r})
sys.argv[0] = "serving"
runpy.run_module("serving", run_name="__main__")
"""
QUICK = {"look_seconds": 0.05, "drain_seconds": 0.2, "workers": 2}
JSON = {"Content-Type": "application/json"}


class Process:
    """A server on a free port of the loopback; options are those of its command line."""

    def __init__(self, path, folder, **options):
        self.log_path = folder / "server.log"
        given = [f"--{name.replace('_', '-')}={value}" for name, value in {**QUICK, **options}.items()]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(path), "--port=0", *given],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self.url = self.wait_for_log(r"Uvicorn running on (http://[\d.:]+)")
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def wait_for_log(self, pattern, seconds=30):
        """The group of the first line that has the pattern."""
        return wait_for(lambda: re.search(pattern, self.log()), seconds, self.log)[1]

    def log(self):
        return self.log_path.read_text()

    def post(self, path, content):
        """Answer to a body: bytes as they are, anything else as JSON."""
        if isinstance(content, bytes):
            return self.client.post(path, content=content, headers=JSON)
        return self.client.post(path, json=content)

    def get(self, path):
        return self.client.get(path)

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").text, flags=re.MULTILINE)
        return float(found[1]) if found else 0.0

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(30)

    def close(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def wait_for(condition, seconds=20, say=lambda: ""):
    """What the condition returns, once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain. {say()}"
        time.sleep(0.02)
    return found
