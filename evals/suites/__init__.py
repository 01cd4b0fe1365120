"""Suites that need code of their own: one small module a task, with its arms and slices.

What a suite can say in the task pack's ``[[suites]]`` does not belong here; no shipped task needs more so far.
"""
