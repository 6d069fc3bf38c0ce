"""Runs of other tools, read and never written: TensorBoard, Stable-Baselines3, W&B. Each becomes a stream of events."""
