"""Rows of the API -> Arrow tables."""
