"""One well-filled sample of every message of the wire and every body of the device log, for golden files and properties.

Owns values only. Every optional field is set somewhere, so that a renamed or retyped field changes a golden file.
"""

from __future__ import annotations

from penstock.wire import log, messages, types
from penstock.wire.options import Accelerator, File, Logging, Options, Ulimit
from penstock.wire.record import replace

DIGEST = ["sha256:" + format(n, "x") * 64 for n in range(16)]

ENGINE = messages.Engine("docker", "20.10.24", "1.41", store="manifest", timers=False)
FACTS = messages.Facts(
    hostname="press-7",
    platforms=("linux/arm/v7", "linux/arm/v6"),
    agent="0.1.0",
    python="3.9.2",
    kernel="5.10.0",
    cpus=4,
    memory_bytes=1 << 30,
    disk_bytes=1 << 34,
    engine=ENGINE,
    nodes=("/dev/ttyUSB0",),
    reads=2,
)
SEALED = types.Sealed(epk="BAAA", iv="AAAA", ciphertext="q6s=", tag="AAAA")
SERVICE = types.Service(
    name="reader",
    image="reader",
    command=("serve", "--port", "8080"),
    entrypoint=("/bin/reader",),
    environment={"LINE": "7", "GREETING": "Grüß Gott"},
    secret_environment={"TOKEN": types.SecretUse("plc-token", "3")},
    ports=(types.Port(8080, host=18080, host_ip="127.0.0.1", protocol="tcp"), types.Port(161, protocol="udp")),
    expose=("9000",),
    mounts=(
        types.Mount("volume", "/data", source="data"),
        types.Mount("bind", "/etc/line", source="/etc/line", read_only=True),
        types.Mount("tmpfs", "/tmp", tmpfs_bytes=1 << 20),
    ),
    networks=(types.NetworkUse("plant", aliases=("plc-reader",), ipv4="10.9.0.7"),),
    depends_on=(types.Dependency("broker", condition="healthy", required=False, restart=True),),
    healthcheck=types.Healthcheck(("CMD-SHELL", "wget -q -O- localhost:8080"), 5000, 2000, 2, 1000, 500),
    probes=(
        types.Probe("http", port=8080, path="/health", interval_ms=2000, timeout_ms=1000, retries=2, start_period_ms=10),
        types.Probe("command", command=("true",)),
    ),
    restart="on-failure",
    restart_max=5,
    resources=types.Resources(1 << 26, 1 << 25, 1 << 27, 500_000_000, 64, "0"),
    devices=(types.DeviceNode("/dev/ttyS0", "/dev/ttyS0", "rw"),),
    user="1000:1000",
    working_dir="/srv",
    labels={"vendor": "acme"},
    stop_grace_ms=3000,
    stop_signal="SIGINT",
    container_name="reader",
    platform="linux/arm/v7",
)
BROKER = types.Service(name="broker", image="broker")
VARIANT = types.Variant(
    "linux/arm/v7",
    types.Blob(DIGEST[1], 500, "application/vnd.oci.image.manifest.v1+json"),
    types.Blob(DIGEST[2], 1200, "application/vnd.oci.image.config.v1+json"),
    (types.Blob(DIGEST[3], 30_000_000, "application/vnd.oci.image.layer.v1.tar+gzip"),),
)
APP = types.AppState(
    app="line-reader",
    deployment="dep_1",
    release=DIGEST[4],
    version="1.2.0",
    services=(SERVICE, BROKER),
    volumes=(types.Volume("data", "line_data", "local", {"o": "bind"}, {"k": "v"}, external=True, policy="snapshot"),),
    networks=(types.Network("plant", "plant_net", "bridge", {"mtu": "1400"}, {"k": "v"}, internal=True, external=True),),
    images=(types.Image("reader", (VARIANT,), index=DIGEST[5]), types.Image("broker", (VARIANT,))),
    secrets=(types.Secret("plc-token", "3", SEALED),),
    drift="report",
    soak_s=30,
    deadline_s=45,
    keep=3,
)
DESIRED = messages.Desired(
    wire=1,
    device="dev_a",
    epoch=2,
    generation=17,
    issued_ms=1_800_000_000_000,
    apps=(APP,),
    endpoints=(messages.Endpoint("https://plane.example:8443", ca=("-----BEGIN CERTIFICATE-----\n",), proxy="http://p:3128"),),
    settings=messages.Settings(poll_s=30, fetch_bytes_per_s=1_000_000, log_quota_bytes=1 << 22),
    people=(messages.LocalPerson("per_a", "Anna Ahrens", "ab" * 16, 50_000, DIGEST[3], ("let-go", "revert"), revision=2),),
    site="hamburg",
)
ENTRY = messages.LogEntry(3, 41, DIGEST[6], 1_800_000_000_500, "untrusted", "event", '{"name":"step.done","why":"x"}')
STATUS = log.ServiceStatus("reader", "running", "healthy", DIGEST[2], "c0ffee", restarts=1, exit_code=0, why="as it should be")
APP_SEEN = log.AppObservation(
    app="line-reader",
    deployment="dep_1",
    phase="soaked",
    why="healthy for 30 s",
    version="1.2.0",
    content=DIGEST[7],
    target=DIGEST[8],
    target_version="1.3.0",
    services=(STATUS,),
    drift=(log.DriftItem("reader", "environment.LINE", "7", "8", "reported"),),
    way_back=log.WayBack(True, "1.1.0", DIGEST[9], "on disk"),
    pinned=True,
    health_rule=False,
    fetched_bytes=10,
    total_bytes=20,
    removed=True,
)
DEVICE_SEEN = log.DeviceObservation(2, 17, 1 << 33, False, ("clock not trusted",), ("old_reader",), FACTS)

MESSAGES: dict[str, object] = {
    "enrol-request": messages.EnrolRequest(1, "pst_token", "press-7", "PEM1", "PEM2", "0" * 32, FACTS, replaces=True),
    "enrol-reply": messages.EnrolReply("approved", "let in by anna", 5, "ab12-cd34", "dev_a", ("{}",), "{}"),
    "admission": messages.Admission(1, "dev_a", "press-7", "site_a", "ab" * 32, 1_800_000_000_000),
    "session-request": messages.SessionRequest(1, "dev_a", 1_800_000_000_000, "1" * 32, "0.1.0"),
    "session-reply": messages.SessionReply("dst_x", 3600, 1),
    "desired": DESIRED,
    "authorisation": messages.Authorisation(1, "aut_1", "dev_a", 2, "line-reader", DIGEST[7], "rol_1", 1, 1, 2, by="anna"),
    "command": messages.Command(1, "cmd_1", "dev_a", 2, "restart", 1, 2, {"app": "line-reader", "service": "reader"}, by="anna"),
    "currency": messages.Currency(1, "dev_a", 2, 17, 1_800_000_000_000, "2" * 32),
    "state-reply": messages.StateReply("{}", ("{}",), ("{}",), ("{}",), "{}"),
    "report": messages.Report(1, "dev_a", 2, 17, 40, (ENTRY,)),
    "ack": messages.Ack(1, "dev_a", 2, 41, DIGEST[6], 1_800_000_000_000),
    "report-reply": messages.ReportReply("{}", 42, "as it should be"),
    "log-entry": ENTRY,
}

# What version 2 added, which only the desired state uses.
OPTIONS = Options(
    privileged=True,
    read_only=True,
    init=True,
    tty=True,
    stdin_open=True,
    oom_kill_disable=True,
    network_mode="service:broker",
    ipc="shareable",
    pid="host",
    uts="host",
    userns="host",
    cgroup="private",
    cgroup_parent="plant.slice",
    runtime="runsc",
    hostname="reader",
    domainname="plant.example",
    mac_address="02:42:ac:11:00:07",
    cap_add=("NET_ADMIN",),
    cap_drop=("ALL",),
    security=("no-new-privileges",),
    groups=("dialout",),
    device_cgroup_rules=("c 188:* rmw",),
    dns=("10.0.0.53",),
    dns_search=("plant.example",),
    dns_options=("ndots:2",),
    extra_hosts=("plc:10.0.0.7",),
    sysctls={"net.core.somaxconn": "256"},
    annotations={"a.b": "c"},
    storage={"size": "1G"},
    ulimits=(Ulimit("nofile", 1024, 2048),),
    logging=Logging("local", {"max-size": "10m"}),
    accelerators=(Accelerator("nvidia", 1, ("0",), ("gpu",), {"a": "b"}),),
    shm_bytes=1 << 26,
    oom_score_adj=-500,
    swappiness=0,
    cpu_shares=512,
    cpu_quota_us=50_000,
    cpu_period_us=100_000,
    cpu_rt_runtime_us=950_000,
    cpu_rt_period_us=1_000_000,
)
FILES = (
    File("/etc/reader.conf", "bGluZSA9IDcK", uid=1000, gid=1000, mode=0o440),
    File("/run/secrets/plc", secret="plc-token", version="3"),
)
APP_2 = replace(
    APP,
    services=(
        replace(
            SERVICE,
            options=OPTIONS,
            files=FILES,
            mounts=(
                types.Mount("bind", "/etc/line", "/etc/line", propagation="rslave", selinux="z", make_source=True),
                types.Mount("volume", "/data", "data", no_copy=True),
                types.Mount("tmpfs", "/tmp", tmpfs_mode=0o700, tmpfs_options=("exec",)),
            ),
            networks=(types.NetworkUse("plant", ipv6="fd00::7", link_local=("169.254.1.1",), mac_address="02:42:ac:11:00:08", driver_options={"a": "b"}),),
        ),
        BROKER,
    ),
    networks=(
        types.Network(
            "plant",
            attachable=True,
            ipv6=True,
            pools=(types.Pool("10.9.0.0/24", "10.9.0.1", "10.9.0.128/25", {"plc": "10.9.0.2"}),),
            ipam_driver="host-local",
            ipam_options={"x": "y"},
        ),
    ),
    wire=2,
)
NEWER: dict[str, object] = {"desired": replace(DESIRED, wire=2, apps=(APP_2,))}

BODIES: dict[str, object] = {
    "boot": log.Boot("0.1.0", "boot-id", FACTS, "data-id"),
    "observation-app": log.Observation(app=APP_SEEN),
    "observation-device": log.Observation(device=DEVICE_SEEN),
    "event": log.Event("step.done", "the image is here", "line-reader", "chg_1", {"bytes": "10"}),
    "receipt": log.Receipt(
        change="chg_1",
        kind="update",
        app="line-reader",
        deployment="dep_1",
        cause="rollout",
        by="anna",
        verdict="failed-reverted",
        why="unhealthy for 45 s",
        started_ms=1,
        ended_ms=2,
        from_version="1.1.0",
        from_content=DIGEST[9],
        to_version="1.2.0",
        to_content=DIGEST[7],
        authorisation="aut_1",
        rollout="rol_1",
        wave=1,
        window="open",
        health_rule=False,
        clock="untrusted",
    ),
    "local-act": log.LocalAct("revert", "Anna Ahrens", "the line stood still", "line-reader", "per_a", "by-pin"),
    "command-outcome": log.CommandOutcome("cmd_1", "logs", "done", "two lines", "one\ntwo\n"),
    "refusal": log.RefusalNote("desired", "bad-signature", "does not fit", DIGEST[1]),
    "gap": log.Gap(3, 9, "the log file was cut short"),
}
