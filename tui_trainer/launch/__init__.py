"""Spawn and detach an engine; find live runs."""
