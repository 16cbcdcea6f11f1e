"""A server in a separate process in which torch and this library cannot be imported."""

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
    """A server on a free local port; options are those of its command line."""

    def __init__(self, path, folder, **options):
        self.log_path = folder / "server.log"
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in {**QUICK, **options}.items()]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", LAUNCH, str(path), "--port=0", *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self.url = self.wait_for_log(r"Uvicorn running on (http://[\d.:]+)")
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def wait_for_log(self, pattern, seconds=30):
        """Wait for a line that matches the pattern; return its first group."""
        return wait_for(lambda: re.search(pattern, self.log()), seconds, self.log)[1]

    def log(self):
        return self.log_path.read_text()

    def post(self, path, content):
        """Post a body, bytes unchanged and anything else as JSON; return the response."""
        if isinstance(content, bytes):
            return self.client.post(path, content=content, headers=JSON)
        return self.client.post(path, json=content)

    def get(self, path):
        return self.client.get(path)

    def metric(self, name):
        match = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").text, flags=re.MULTILINE)
        return float(match[1]) if match else 0.0

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(30)

    def close(self):
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def wait_for(condition, seconds=20, describe=lambda: ""):
    """Wait until the condition returns a true value, and return that."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"Timed out. {describe()}"
        time.sleep(0.02)
    return value
