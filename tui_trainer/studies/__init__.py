"""Many runs for one answer: studies with Optuna, and paired comparisons. Every run is an ordinary session."""
