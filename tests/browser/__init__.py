"""The notebooks as people see them, with a command of their own: pytest -m browser."""
