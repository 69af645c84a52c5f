#!/usr/bin/env bash
# Owns the list of system packages that setting up, testing and packaging Penstock need, and installs the missing ones.
# Changes nothing when everything is there; never removes a package, never starts a service, never touches package sources.
#
#   tools/install-system.sh           install what is missing (as root, on Debian or Ubuntu)
#   tools/install-system.sh --list    print the list, one "package: what for" per line
#   tools/install-system.sh --check   print what is missing and exit 1 if anything is
set -euo pipefail

# One line each: package | the command, file or library that proves it is there | what for.
# A trailing "?" after the package: wanted, but not packaged by every release; then only the tests that need it cannot run.
packages() {
    cat <<'LIST'
python3|/usr/bin/python3|the interpreter that the .deb and the container image of the agent use
python3-venv|@dpkg|makes .venv
git|git|releases are built from a clean tree
make|make|the targets
ca-certificates|/etc/ssl/certs/ca-certificates.crt|TLS to package registries
openssl|openssl|an independent judge of keys and certificates in the tests
libzstd1|@dpkg|layers compressed with zstd
iproute2|ip|network namespaces of the tests
iptables|iptables|both engines publish ports and masquerade with it
procps|ps|process look-ups in the tests
util-linux|unshare|mount namespaces of the tests
e2fsprogs|mkfs.ext4|small file systems that the tests fill up
tar|tar|archives
xz-utils|xz|unpacking packages
zstd|zstd|layers compressed with zstd
busybox-static|@dpkg|the one program inside the test images
docker.io|dockerd|the first real engine
containerd|containerd|the first real engine
runc|runc|container runtime of both engines
podman|podman|the second real engine
conmon|conmon|minds Podman's containers
catatonit|catatonit|init process of Podman's pods and of --init
containernetworking-plugins?|/usr/lib/cni/bridge|networks of Podman 4
golang-github-containernetworking-plugin-dnsname?|/usr/lib/cni/dnsname|names of containers in networks of Podman 4 (CNI)
dnsmasq-base|dnsmasq|names of containers in networks of Podman 4 (CNI)
skopeo|skopeo|copies images to and from the built-in registry
buildah|buildah|pushes to and pulls from the built-in registry in the tests
docker-registry|docker-registry|what the built-in registry is timed against
docker-compose|docker-compose|what our reading of Compose files is compared with
chromium?|chromium|browser tests
qemu-user-static|qemu-arm-static|the agent's tests as armhf and arm64
debootstrap|debootstrap|a bare Debian to install the .deb into
dpkg-dev|dpkg-deb|builds the .deb
fakeroot|fakeroot|builds the .deb without root
systemd|systemd-analyze|checks the unit file
strace|strace|counts what the agent writes and sends
faketime|faketime|wrong clocks in the end-to-end tests
LIST
}

have() { # package, probe
    case "$2" in
        @dpkg) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
        /*) [ -e "$2" ] ;;
        *) PATH="$PATH:/usr/sbin:/sbin" command -v "$2" >/dev/null 2>&1 ;;
    esac
}

missing=() optional=()
while IFS='|' read -r package probe purpose; do
    name="${package%\?}"
    if [ "${1:-}" = --list ]; then
        printf '%s: %s\n' "$name" "$purpose"
        continue
    fi
    have "$name" "$probe" && continue
    if [ "$name" != "$package" ]; then optional+=("$name"); else missing+=("$name"); fi
done < <(packages)
[ "${1:-}" = --list ] && exit 0
[ "${#missing[@]}" -eq 0 ] && [ "${#optional[@]}" -eq 0 ] && exit 0

if [ "${1:-}" = --check ]; then
    printf 'missing: %s\n' "${missing[@]}" "${optional[@]}"
    exit 1
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "This is not Debian or Ubuntu: install these with your system's tools, then run make setup again: ${missing[*]} ${optional[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Some system packages are missing. Run as root: $0" >&2
    echo "Missing: ${missing[*]} ${optional[*]}" >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
# Installing an engine must not start it here: the tests start their own. policy-rc.d is dpkg's documented switch for that.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi
install() { apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends --no-remove "$@" >/dev/null; }

apt-get -o Acquire::Retries=3 -qq update
if [ "${#missing[@]}" -gt 0 ]; then
    echo "Installing: ${missing[*]}"
    install "${missing[@]}"
fi
for name in "${optional[@]}"; do
    echo "Installing: $name"
    install "$name" || echo "Not available here: $name. The tests that need it cannot run on this machine." >&2
done
