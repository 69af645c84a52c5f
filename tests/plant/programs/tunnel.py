"""The end of a tunnel: whoever shares its network is reached through it. Needs a right over that network, and shows that it has it."""

import small


def rights(_):
    found = {}
    for line in open("/proc/self/status"):
        if line.startswith("CapEff"):
            found["net_admin"] = bool(int(line.split()[1], 16) >> 12 & 1)
    found["forward"] = small.read("/proc/sys/net/ipv4/ip_forward")
    found["resolver"] = small.read("/etc/resolv.conf")
    return found


small.serve({("GET", "/rights"): rights})
