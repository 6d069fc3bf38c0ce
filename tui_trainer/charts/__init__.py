"""Series to marks: pure functions from numbers to text."""
