"""What every frame promises: its columns with their types and meanings, and its validation."""
