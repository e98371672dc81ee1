"""Stores of every version of the format, as that version wrote them."""
