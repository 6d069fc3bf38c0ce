"""How long a test waits for what must come: a machine may be as busy as it likes. Less than a test may take at all."""

PATIENCE_S = 150.0
