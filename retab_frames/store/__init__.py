"""Snapshots of runs as plain Parquet files, and the proof that they are whole."""
