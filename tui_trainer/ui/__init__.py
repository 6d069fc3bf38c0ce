"""The app: Textual lives here and nowhere else."""
