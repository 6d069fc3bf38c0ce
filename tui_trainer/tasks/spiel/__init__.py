"""OpenSpiel's two-player games of perfect information: rules, opponents, matches, a table to play at."""
