"""Seeded simulations of what the statistics promise: pytest -m simulations."""
