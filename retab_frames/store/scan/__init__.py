"""The tables of a store over all its runs, in the engine of the caller's choice."""
