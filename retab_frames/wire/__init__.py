"""What the API sends: its records, the place of every value in them, and how they are read."""
