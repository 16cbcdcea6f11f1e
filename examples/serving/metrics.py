"""Metrics for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        common = {"registry": self._registry}
        self._requests = Counter("serving_requests_total", "Answers by path and status.", ["path", "status"], **common)
        self._seconds = Histogram("serving_request_seconds", "Time of a request.", ["path"], buckets=SECONDS, **common)
        self._rows = Counter("serving_rows_total", "Rows that were scored.", ["path"], **common)
        self._loads = Counter("serving_model_loads_total", "Files opened, by result.", ["result"], **common)
        self._is_current = Gauge("serving_model_is_current", "1 if the newest file is the one in use.", **common)
        self._loaded_at = Gauge("serving_model_loaded_timestamp_seconds", "When the model in use was opened.", **common)
        for result in ("ok", "failed"):
            self._loads.labels(result)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def scored(self, path: str, n_rows: int) -> None:
        self._rows.labels(path).inc(n_rows)

    def loaded(self) -> None:
        self._loads.labels("ok").inc()
        self._is_current.set(1)
        self._loaded_at.set_to_current_time()

    def failed(self) -> None:
        self._loads.labels("failed").inc()
        self._is_current.set(0)

    def text(self) -> bytes:
        return generate_latest(self._registry)
