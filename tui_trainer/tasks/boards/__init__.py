"""Two-player games of k in a row on bitboards, batched: geometry, search, opponents, openings, the task itself."""
