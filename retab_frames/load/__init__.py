"""From the API, or from responses in hand, to the frames of a run."""
