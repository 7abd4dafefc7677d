"""Stacks that nobody of this project wrote, each of which showed a fault once, and what is right for it."""
