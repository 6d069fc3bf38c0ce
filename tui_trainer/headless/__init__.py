"""A run without a screen: lines, JSON lines, a progress bar."""
