"""What the service counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
_JOB_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)


class Measures:
    """The metrics of one application; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter("initadvisor_jobs_accepted", "Jobs taken into the queue.", registry=self.registry)
        self.refused = Counter("initadvisor_uploads_refused", "Uploads refused.", ["status"], registry=self.registry)
        self.finished = Counter("initadvisor_jobs_ended", "Jobs that ended.", ["status"], registry=self.registry)
        self.put_back = Counter(
            "initadvisor_jobs_put_back", "Jobs queued again after their worker was lost.", registry=self.registry
        )
        self.jobs = Gauge("initadvisor_jobs", "Jobs by status.", ["status"], registry=self.registry)
        self.restarts = Gauge(
            "initadvisor_nursery_restarts", "Restarts of the process that starts workers.", registry=self.registry
        )
        self.received = Counter("initadvisor_received_bytes", "Bytes of uploads.", registry=self.registry)
        self.cpu = Histogram(
            "initadvisor_job_cpu_seconds", "Computing time of a job.", buckets=_JOB_SECONDS, registry=self.registry
        )
        self.requests = Histogram(
            "initadvisor_request_seconds",
            "Time to the end of a response.",
            ["method", "route", "status"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
