"""How fast retab_frames is beside what others do with the same: `python -m benchmarks`."""
