"""The command line: the composition root; imports what a command needs, lazily."""
