"""Charts as text: series in, rows of styled text out. Pure: no terminal, no clock."""
