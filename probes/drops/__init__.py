"""Where the kernel dropped a packet: single drops with their reason where it tells them, counters per node where not.

Two sources, one vocabulary: `KernelDrops` hands over each dropped packet of a probe, `counters` what every node has counted.
"""
