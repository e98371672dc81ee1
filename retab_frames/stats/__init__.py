"""Statistics of the durations, failures and parallelism of jobs."""
