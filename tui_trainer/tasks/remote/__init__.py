"""Any task in worker processes: for environments that hold the interpreter, print, hang or die."""
