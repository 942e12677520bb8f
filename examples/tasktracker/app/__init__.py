"""TaskTracker: the sample workload, api, worker and scheduler in one package."""
