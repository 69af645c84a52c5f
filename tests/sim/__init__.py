"""The simulated fleet: runs that must find nothing, and faults planted in the product that must be found."""
