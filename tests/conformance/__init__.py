"""One suite for every runtime: what a verb promises, it promises on Docker, on Podman and in the simulated fleet alike."""
