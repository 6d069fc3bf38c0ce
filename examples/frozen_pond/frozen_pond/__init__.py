"""A task for tui-trainer in a package of its own."""
