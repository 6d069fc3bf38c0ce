"""One panel a file: a function of RunState."""
