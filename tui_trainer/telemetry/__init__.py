"""The machine: CPU, memory, disk, network, GPUs."""
