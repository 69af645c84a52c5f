"""The simulated fleet: the real plane and real agents around a false world, in one process, from one seed.

Owns the world (time, links, engines, disks, people) and the watch over it. What decides is never here: brains, rules, trust and the plane's actions
are the product's own. docs/simulator.md says what is real and what is not.
"""
