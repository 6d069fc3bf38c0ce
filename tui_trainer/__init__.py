"""Train reinforcement-learning agents in the terminal, with a person in the loop."""

__version__ = "0.1.0"
