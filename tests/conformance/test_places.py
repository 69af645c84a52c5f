"""Networks and volumes: made and removed, data copied out and put back as it was."""

from __future__ import annotations

import io
import tarfile

import pytest

from penstock.agent.runtimes import NetworkOrder, RuntimeFault, VolumeOrder
from penstock.rules.observed import LABEL_DEVICE
from penstock.wire.types import Mount, Network, NetworkUse, Service, Volume
from tests.conformance.bench import DEVICE

OURS = {LABEL_DEVICE: DEVICE}
BIG = 100 * 1024 * 1024


def mounted(bench, image, volume="data", name="web", **fields):
    service = Service(name, "app", mounts=(Mount("volume", "/data", volume),), **fields)
    state = bench.state(service, images=(image,), volumes=(Volume(volume),))
    bench.runtime.create_volume(VolumeOrder(f"conf_{volume}"))
    return bench.runtime.create(bench.order(state, service))


def test_networks_may_be_made_and_removed_again_and_again(bench):
    order = NetworkOrder("conf_net", labels=OURS, internal=True)
    bench.runtime.create_network(order)
    bench.runtime.create_network(order)
    seen = bench.look(networks=("conf_net", "conf_other")).networks
    assert [(network.name, network.driver, network.internal, network.labels[LABEL_DEVICE]) for network in seen] == [("conf_net", "bridge", True, DEVICE)]
    bench.runtime.remove_network("conf_net")
    bench.runtime.remove_network("conf_net")
    assert bench.look(networks=("conf_net",)).networks == ()


def test_a_strangers_network_is_in_the_way(bench):
    bench.stranger_network("conf_net")
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.create_network(NetworkOrder("conf_net", labels=OURS))
    assert caught.value.code == "name-taken"
    assert "conf_net" in caught.value.why


def test_a_network_in_use_stays(bench):
    image = bench.ready(bench.image())
    bench.runtime.create_network(NetworkOrder("conf_net", labels=OURS))
    service = Service("web", "app", networks=(NetworkUse("net"),))
    state = bench.state(service, images=(image,), networks=(Network("net"),))
    identity = bench.runtime.create(bench.order(state, service))
    bench.runtime.start(identity)
    assert bench.look(networks=("conf_net",)).networks[0].containers == (identity,)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.remove_network("conf_net")
    assert (caught.value.code, caught.value.retry) == ("in-use", True)
    bench.runtime.remove(identity)
    bench.runtime.remove_network("conf_net")


def test_services_find_each_other_by_name_and_alias(real_bench):
    image = real_bench.ready(real_bench.image())
    real_bench.runtime.create_network(NetworkOrder("conf_net", labels=OURS))
    server = Service("server", "app", networks=(NetworkUse("net", ("the-alias",)),))
    client = Service("client", "app", networks=(NetworkUse("net"),))
    state = real_bench.state(server, client, images=(image,), networks=(Network("net"),))
    first, second = (real_bench.runtime.create(real_bench.order(state, service)) for service in (server, client))
    real_bench.runtime.start(first)
    real_bench.runtime.start(second)
    address = real_bench.see(first).addresses["conf_net"]
    for name in ("server", "the-alias"):
        # busybox asks the network's name server itself; its wget would need shared libraries for that
        real_bench.wait(second, lambda _, name=name: address in real_bench.runtime.run(second, ("nslookup", name), 20_000).output)


def test_volumes_may_be_made_and_removed_again_and_again(bench):
    order = VolumeOrder("conf_data", labels={"kind": "test"})
    bench.runtime.create_volume(order)
    bench.runtime.create_volume(order)
    seen = bench.look(volumes=("conf_data", "conf_other")).volumes
    assert [(volume.name, volume.driver, volume.labels.get("kind")) for volume in seen] == [("conf_data", "local", "test")]
    bench.runtime.remove_volume("conf_data")
    bench.runtime.remove_volume("conf_data")
    assert bench.look(volumes=("conf_data",)).volumes == ()


def test_volumes_of_a_device_are_found_by_its_label_and_nobody_elses_are(bench):
    bench.runtime.create_volume(VolumeOrder("conf_mine", labels={LABEL_DEVICE: "dev_conf"}))
    bench.runtime.create_volume(VolumeOrder("conf_also", labels={LABEL_DEVICE: "dev_conf"}))
    bench.runtime.create_volume(VolumeOrder("conf_theirs", labels={LABEL_DEVICE: "dev_other"}))
    bench.runtime.create_volume(VolumeOrder("conf_bare"))
    assert bench.runtime.volumes_of("dev_conf") == ("conf_also", "conf_mine")
    assert bench.runtime.volumes_of("dev_none") == ()
    for name in ("conf_mine", "conf_also", "conf_theirs", "conf_bare"):
        bench.runtime.remove_volume(name)


def test_a_volume_in_use_stays_and_survives_its_container(bench):
    image = bench.ready(bench.image())
    identity = mounted(bench, image)
    bench.runtime.start(identity)
    bench.write(identity, "conf_data", "/data", "kept", "important")
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.remove_volume("conf_data")
    assert caught.value.code == "in-use"
    bench.runtime.remove(identity)
    again = mounted(bench, image)
    bench.runtime.start(again)
    assert bench.read(again, "conf_data", "/data", "kept") == "important"


def test_a_volume_only_the_image_asks_for_goes_with_its_container(real_bench):
    image = real_bench.ready(real_bench.image("anonymous", volumes=("/anonymous",)))
    service = Service("web", "app")
    identity = real_bench.runtime.create(real_bench.order(real_bench.state(service, images=(image,)), service))
    assert len(real_bench.engine.api("GET", "/volumes")[1]["Volumes"]) == 1
    real_bench.runtime.remove(identity)
    assert not real_bench.engine.api("GET", "/volumes")[1]["Volumes"]


def test_whether_a_volume_holds_data(bench):
    image = bench.ready(bench.image())
    helper = image.variants[0]
    assert not bench.runtime.volume_has_data("conf_data", helper)
    identity = mounted(bench, image)
    assert not bench.runtime.volume_has_data("conf_data", helper)
    bench.runtime.start(identity)
    bench.write(identity, "conf_data", "/data", "x", "")
    assert bench.runtime.volume_has_data("conf_data", helper)
    assert len(bench.look().containers) == 1
    if bench.real:
        assert bench.engine.containers() == ["conf-web-1"]  # the helper is gone


SCRIPT = """set -e
cd /data
chown 1000:1000 .
chmod 0750 .
mkdir -p deep/er empty
echo root > root-file; chmod 0600 root-file
echo plant > plant-file; chown 1000:1000 plant-file; chmod 4755 plant-file
ln -s plant-file link; ln -s /nowhere dangling; ln root-file hard
mkfifo pipe
printf 'x%.0s' 1 2 3 > 'deep/er/name with spaces and é'
touch -d '2020-01-02 03:04:05' root-file; touch -d '2019-01-01 00:00:00' deep
head -c 3000000 /dev/zero > big
"""
LISTING = "cd /data && find . | sort | while read -r f; do stat -c '%n %F %a %u:%g %s %N' \"$f\"; done; stat -c '%n %Y' root-file deep; cat root-file plant-file; [ root-file -ef hard ] && echo hard-link"


def test_data_comes_back_exactly_deletions_included(real_bench):
    bench = real_bench
    image = bench.ready(bench.image())
    helper = image.variants[0]
    identity = mounted(bench, image)
    bench.runtime.start(identity)
    done = bench.runtime.run(identity, ("sh", "-c", SCRIPT), 30_000)
    assert done.exit_code == 0, done
    before = bench.runtime.run(identity, ("sh", "-c", LISTING), 30_000).output
    assert "hard-link" in before
    bench.runtime.stop(identity, 1_000)

    kept = io.BytesIO()
    copy = bench.runtime.export_volume("conf_data", helper, kept, BIG)
    assert copy.bytes == kept.tell()
    assert copy.entries >= 10
    with tarfile.open(fileobj=io.BytesIO(kept.getvalue())) as tar:
        assert len(tar.getnames()) >= copy.entries

    bench.runtime.start(identity)
    spoilt = bench.runtime.run(
        identity, ("sh", "-c", "cd /data && rm -rf deep link && echo new > added && echo spoilt > plant-file && chmod 777 . && chown 0:0 ."), 30_000
    )
    assert spoilt.exit_code == 0
    bench.runtime.remove(identity)
    kept.seek(0)
    bench.runtime.import_volume(VolumeOrder("conf_data"), helper, kept)
    again = mounted(bench, image)
    bench.runtime.start(again)
    assert bench.runtime.run(again, ("sh", "-c", LISTING), 30_000).output == before


def test_data_comes_back(bench):
    """The same promise in the form every runtime can show."""
    image = bench.ready(bench.image())
    identity = mounted(bench, image)
    bench.runtime.start(identity)
    bench.write(identity, "conf_data", "/data", "recipe", "old")
    bench.runtime.stop(identity, 1_000)
    kept = io.BytesIO()
    bench.runtime.export_volume("conf_data", image.variants[0], kept, BIG)
    bench.runtime.start(identity)
    bench.write(identity, "conf_data", "/data", "recipe", "new")
    bench.write(identity, "conf_data", "/data", "more", "new")
    kept.seek(0)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.import_volume(VolumeOrder("conf_data"), image.variants[0], kept)
    assert caught.value.code == "in-use"
    bench.runtime.remove(identity)
    kept.seek(0)
    bench.runtime.import_volume(VolumeOrder("conf_data"), image.variants[0], kept)
    again = mounted(bench, image)
    bench.runtime.start(again)
    assert bench.read(again, "conf_data", "/data", "recipe") == "old"
    assert bench.read(again, "conf_data", "/data", "more") is None


def test_an_empty_volume_comes_back_empty(bench):
    image = bench.ready(bench.image())
    bench.runtime.create_volume(VolumeOrder("conf_data"))
    kept = io.BytesIO()
    assert bench.runtime.export_volume("conf_data", image.variants[0], kept, BIG).entries == 0
    kept.seek(0)
    bench.runtime.import_volume(VolumeOrder("conf_data"), image.variants[0], kept)
    assert not bench.runtime.volume_has_data("conf_data", image.variants[0])


def test_a_copy_has_its_limit(bench):
    image = bench.ready(bench.image())
    identity = mounted(bench, image)
    bench.runtime.start(identity)
    bench.write(identity, "conf_data", "/data", "x", "y" * 5_000)
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.export_volume("conf_data", image.variants[0], io.BytesIO(), 2_048)
    assert (caught.value.code, caught.value.retry) == ("too-large", False)
    assert "2048" in caught.value.why


def test_a_copy_that_is_not_whole_never_replaces_anything(bench):
    image = bench.ready(bench.image())
    identity = mounted(bench, image)
    bench.runtime.start(identity)
    bench.write(identity, "conf_data", "/data", "recipe", "old")
    kept = io.BytesIO()
    bench.runtime.export_volume("conf_data", image.variants[0], kept, BIG)
    bench.runtime.remove(identity)
    torn = io.BytesIO(kept.getvalue()[: kept.getvalue().index(b"recipe")])
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.import_volume(VolumeOrder("conf_data"), image.variants[0], torn)
    assert caught.value.code == "not-restorable"
    assert bench.runtime.volume_has_data("conf_data", image.variants[0])


def test_a_volume_of_the_hosts_own_is_no_way_back(bench, tmp_path):
    image = bench.ready(bench.image())
    (tmp_path / "x").write_text("theirs")
    bench.runtime.create_volume(VolumeOrder("conf_host", driver_options={"type": "none", "o": "bind", "device": str(tmp_path)}))
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.export_volume("conf_host", image.variants[0], io.BytesIO(), BIG)
    assert (caught.value.code, caught.value.retry) == ("not-restorable", False)


def test_a_missing_volume_cannot_be_copied(bench):
    image = bench.ready(bench.image())
    with pytest.raises(RuntimeFault) as caught:
        bench.runtime.export_volume("conf_none", image.variants[0], io.BytesIO(), BIG)
    assert caught.value.code == "not-found"
