"""Long trials, with a command of their own: pytest -m trials."""
