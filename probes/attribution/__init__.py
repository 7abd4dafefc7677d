"""Where lost probes died: the last element that saw each, and why it got no further. Pure; it judges nothing."""
