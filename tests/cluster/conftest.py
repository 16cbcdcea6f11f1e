"""Ray starts a cluster of processes, which takes minutes on a busy machine: ``make test-ray`` sets the variable."""

import os

collect_ignore = [] if os.environ.get("SKLEARN_FSMD_TEST_RAY") else ["test_ray.py"]
