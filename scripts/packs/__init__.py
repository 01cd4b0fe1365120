"""Builders of the shipped task packs: one module a pack, its hand-written parts in the folder beside it."""
