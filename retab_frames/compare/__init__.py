"""Runs against each other, document by document."""
