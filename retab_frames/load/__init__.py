"""From the API, or from responses that the caller already has, to the frames of a run."""
