"""Builders of the shipped task packs: from the parts in the folder of a task to its files in ``data/tasks``."""
