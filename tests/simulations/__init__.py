"""Seeded simulations of coverage and error rates: pytest -m simulations."""
