"""/api/v1 as programs meet it: over TLS, with a real database behind it."""

from __future__ import annotations

import threading

import httpx
import pytest

from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import groups as g
from penstock.apiv1 import people as p
from penstock.client import ClientError, pinned_ca
from tests.front.served import PASSWORD, ScriptedDevice, problem, until

V = "/api/v1"


def test_nobody_gets_nothing(served):
    served.ready()
    with served.http("") as http:
        for path in ("/devices", "/sites", "/me", "/about", "/events", "/history", "/settings"):
            answer = http.get(V + path)
            assert answer.status_code == 401
            assert problem(answer)["code"] == "not-signed-in"
            assert answer.headers["www-authenticate"] == "Bearer"
    with served.http("pst_wrong") as http:
        assert problem(http.get(V + "/me"))["code"] == "token-unknown"


def test_set_up_happens_once(served):
    served.ready()
    with served.http("") as http:
        assert http.get(V + "/setup").json() == {"needed": False}
        answer = http.post(V + "/setup", json={"token": served.setup_token, "name": "eve", "password": PASSWORD})
    assert answer.status_code == 409
    assert problem(answer)["code"] == "already-set-up"


def test_log_in_and_tokens(served):
    served.ready()
    with served.http("") as http:
        wrong = http.post(V + "/login", json={"name": "mara", "password": "not it, sorry"})
        assert wrong.status_code == 401
        made = http.post(V + "/login", json={"name": "mara", "password": PASSWORD, "label": "for a test", "valid_s": 600})
    assert made.status_code == 201
    with served.http(made.json()["token"]) as http:
        assert "access.write" in http.get(V + "/me").json()["may"]
        assert made.json()["id"] in {item["id"] for item in http.get(V + "/tokens").json()["items"]}
        assert http.delete(f"{V}/tokens/{made.json()['id']}").status_code == 200
        assert http.get(V + "/me").status_code == 401
    assert made.json()["token"] not in str(served.plane.db.view(lambda tx: tx.connection.exec_driver_sql("select * from api_tokens").all()))


def test_bad_input_names_the_field_and_the_remedy(served):
    with served.http() as http:
        answer = http.post(V + "/sites", json={"name": "Not A Name"})
        assert (answer.status_code, problem(answer)["field"]) == (422, "name")
        answer = http.post(V + "/sites", json={"name": "good", "tittle": "misspelt"})
        assert answer.status_code == 422
        assert "tittle" in problem(answer)["detail"]
        answer = http.post(V + "/deployments/preview", json={"release": "a:1", "target": {"devices": ["ok", 7]}})
        assert problem(answer)["field"] == "target.devices[1]"
        answer = http.post(V + "/sites", content=b"{", headers={"Content-Type": "application/json"})
        assert (answer.status_code, problem(answer)["code"]) == (400, "not-json")
        answer = http.post(V + "/sites", content=b"name=x", headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert (answer.status_code, problem(answer)["code"]) == (415, "not-json")
        answer = http.post(V + "/sites", content=b" " * (2 * 1024 * 1024 + 1), headers={"Content-Type": "application/json"})
        assert (answer.status_code, problem(answer)["code"]) == (413, "too-large")
        answer = http.get(V + "/devices", params={"phsae": "failed"})
        assert answer.status_code == 422
        assert "phsae" in problem(answer)["detail"]
        assert problem(http.get(V + "/devices?limit=10&limit=20"))["code"] == "query-twice"
        assert problem(http.get(V + "/devices", params={"limit": 0}))["field"] == "limit"
        assert problem(http.get(V + "/devices", params={"cursor": "!!"}))["code"] == "cursor-unknown"
        assert (http.get(V + "/nothing").status_code, problem(http.get(V + "/nothing"))["code"]) == (404, "no-such-path")
        answer = http.put(V + "/sites", json={})
        assert answer.status_code == 405
        assert problem(answer)["code"] == "wrong-method"


def test_two_people_change_one_thing(served):
    with served.http() as http:
        made = http.post(V + "/sites", json={"name": "lyon", "title": "Lyon"})
        assert (made.status_code, made.headers["etag"]) == (201, '"r1"')
        path = f"{V}/sites/lyon"
        assert http.get(path).headers["etag"] == '"r1"'
        blind = http.patch(path, json={"title": "Blind"})
        assert (blind.status_code, problem(blind)["code"]) == (428, "revision-required")
        assert problem(http.patch(path, json={"title": "x"}, headers={"If-Match": "*"}))["code"] == "revision-malformed"
        first = http.patch(path, json={"title": "Lyon one"}, headers={"If-Match": '"r1"'})
        assert (first.status_code, first.headers["etag"], first.json()["title"]) == (200, '"r2"', "Lyon one")
        second = http.patch(path, json={"title": "Lyon two"}, headers={"If-Match": '"r1"'})
        assert (second.status_code, problem(second)["code"]) == (412, "stale-revision")
        assert http.get(path).json()["title"] == "Lyon one"


def test_a_repeated_create_is_done_once(served):
    with served.http() as http:
        headers = {"Idempotency-Key": "key-1"}
        first = http.post(V + "/tokens", json={"label": "once"}, headers=headers)
        again = http.post(V + "/tokens", json={"label": "once"}, headers=headers)
        assert first.status_code == again.status_code == 201
        assert first.json() == again.json()
        assert [item["label"] for item in http.get(V + "/tokens").json()["items"]].count("once") == 1
        other = http.post(V + "/tokens", json={"label": "twice"}, headers=headers)
        assert (other.status_code, problem(other)["code"]) == (409, "idempotency-key-reused")
        refused = http.post(V + "/sites", json={"name": "!"}, headers={"Idempotency-Key": "key-2"})
        assert refused.status_code == 422
        assert http.post(V + "/sites", json={"name": "after-all"}, headers={"Idempotency-Key": "key-2"}).status_code == 201, "a refusal is not remembered"


def test_the_pin_is_compared(served):
    with served.http("") as http:
        found = http.get(V + "/ca").json()
    assert pinned_ca(served.url, found["fingerprints"][0].upper()) == found["certificates"][0]
    with pytest.raises(ClientError) as fault:
        pinned_ca(served.url, "00" * 32)
    assert fault.value.problem.code == "other-fingerprint"


def test_health_and_numbers(served):
    with served.http("") as http:
        assert (http.get("/healthz").status_code, http.get("/readyz").text) == (200, "ready\n")
        assert http.get("/metrics").status_code == 401
    with served.http() as http:
        text = http.get("/metrics").text
    assert "penstock_devices" in text
    assert "penstock_live_streams" in text


def read_acts(http: httpx.Client, **asked) -> list[tuple[int, str]]:
    """The first two acts of a stream."""
    found: list[tuple[int, str]] = []
    with http.stream("GET", V + "/events", **asked) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        number = 0
        for line in answer.iter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: ") and number:
                found.append((number, line[6:]))
                if len(found) == 2:
                    return found
    return found


def test_events_resume_without_a_gap(served):
    with served.http() as http:
        first = read_acts(http, params={"after": 0})
        assert first[0][0] == 1
        again = read_acts(http, headers={"Last-Event-ID": "1"})
        assert again[0] == first[1]


def test_events_arrive_while_one_listens(served):
    seen: list[str] = []

    def listen() -> None:
        with served.client() as client:
            for item in client.events():
                seen.append(item.verb)
                if item.verb == "site.created":
                    return

    listener = threading.Thread(target=listen)
    listener.start()
    with served.client() as client:
        number = 0
        while listener.is_alive() and number < 40:
            number += 1
            client.create_site(f"while-listening-{number}")
            listener.join(0.5)
    listener.join(5)
    assert not listener.is_alive()
    assert "site.created" in seen


def test_the_main_job(served):
    """Site, join, waiting room, publish, preview, deploy, watch, command, labels, withdraw, retire: over the typed client."""
    served.images("1.0.0", "2.0.0")
    with served.client() as client:
        client.create_site("hamburg", "Hamburg press shop", "Europe/Berlin")
        made = client.create_join("hamburg", d.JoinTokenCreate(labels={"kind": "press"}))
        with ScriptedDevice(served, made.line, "press-01") as device:
            assert device.enrol() == "waiting"
            waiting = client.enrolments()[0]
            assert (waiting.name, waiting.site, waiting.fingerprint) == ("press-01", "hamburg", device.fingerprint)
            with pytest.raises(ClientError) as fault:
                client.approve(waiting.id, d.Approve(fingerprint="00 11"))
            assert fault.value.problem.code == "other-fingerprint"
            client.approve(waiting.id, d.Approve(fingerprint=device.fingerprint.upper()))
            assert device.enrol() == "approved"
            device.start()
            assert client.device("press-01").summary.labels == {"kind": "press"}

            with pytest.raises(ClientError) as refused:
                client.publish(a.Publish(app="press-monitor", version="0.9", compose="services:\n  web:\n    image: x\n    attach: true\n"))
            assert refused.value.problem.status == 422
            assert {fault.line for fault in refused.value.problem.faults} >= {4}
            checked = client.check(a.Check(compose=served.compose("1.0.0"), app="press-monitor"))
            assert checked.faults == ()
            release = client.publish(a.Publish(app="press-monitor", version="1.0.0", compose=served.compose("1.0.0")))
            assert {item.name for item in release.parameters} == {"LINE_NAME", "LOG_LEVEL"}
            assert client.release("press-monitor:1.0.0").digest == release.digest
            assert sorted(name for image in release.images for name in image.services) == sorted(release.services)
            for image in release.images:
                assert (image.platforms, image.digest[:7]) == (("linux/amd64",), "sha256:")
                assert image.bytes > 0

            target = a.Target(devices=("press-01",))
            preview = client.preview(a.PreviewRequest(release="press-monitor:1.0.0", target=target))
            assert [item.name for item in preview.missing] == ["LINE_NAME"]
            with pytest.raises(ClientError):
                client.deploy(a.DeploymentCreate(release="press-monitor:1.0.0", target=target))
            deployment = client.deploy(a.DeploymentCreate(release="press-monitor:1.0.0", target=target, values={"LINE_NAME": "Line 3"}))
            assert (deployment.name, deployment.version, deployment.devices) == ("press-monitor", "1.0.0", 1)
            until(lambda: device.poll() and device.desired.apps, "the device is told")
            device.observe("claimed", "started")
            device.observe("soaked", "healthy for 60 seconds")
            device.receipt("soaked", "healthy for 60 seconds")
            until(lambda: client.deployment(deployment.id).rollout.state == "done", "the rollout is done")
            assert [item.state for item in client.members(client.deployment(deployment.id).rollout.id)] == ["soaked"]
            shown = client.device("press-01")
            assert (shown.summary.status, shown.apps[0].version, shown.apps[0].phase) == ("Healthy", "1.0.0", "soaked")
            assert "soaked" in {item.tone == "good" and "soaked" for item in client.timeline("press-01", "receipt")}
            assert client.overview().healthy == 1

            command = client.order("press-01", d.CommandCreate(verb="logs", app="press-monitor", service="web", lines=10))
            until(lambda: device.poll() and device.commands, "the command arrives")
            device.answer("done", "10 lines", "line one\nline two\n")
            ended = client.command(command.id)
            assert (ended.outcome, ended.output) == ("done", "line one\nline two\n")

            changed = client.change_device("press-01", shown.summary.revision, d.DeviceChange(labels={"kind": "mill", "line": "3"}))
            assert changed.summary.labels == {"kind": "mill", "line": "3"}
            with pytest.raises(ClientError) as stale:
                client.retire("press-01", shown.summary.revision, "gone")
            assert stale.value.problem.code == "stale-revision"

            assert client.publish(a.Publish(app="press-monitor", version="2.0.0", compose=served.compose("2.0.0"))).version == "2.0.0"
            held = client.deployment(deployment.id)
            again = client.preview(a.PreviewRequest(release="press-monitor:2.0.0", target=target, values=held.values, deployment=held.id))
            assert (again.devices[0].what, again.devices[0].restarted) == ("update", ("web",))
            client.change_deployment(held.id, held.revision, a.DeploymentChange(release="press-monitor:2.0.0"))
            now = client.deployment(held.id)
            assert (now.version, now.values, now.revision > held.revision) == ("2.0.0", {"LINE_NAME": "Line 3"}, True)
            assert len(client.rollouts(held.id)) == 2
            client.withdraw(now.id, now.revision, "no longer needed")
            assert client.deployment(held.id).state == "withdrawn"
            client.retire("press-01", changed.summary.revision, "gone")
            assert client.device(shown.summary.id).summary.status == "Retired", "its name is free, its id stays"
    verbs = [item.verb for item in client_history(served)]
    assert {"release.published", "device.approved", "command.ordered"} <= set(verbs)


def client_history(served):
    with served.client() as client:
        return tuple(client.history(200))


def test_settings_reach_through_the_api(served):
    with served.client() as client:
        before = client.settings()
        after = client.change_settings(before.revision, p.SettingsChange(poll_s=30))
        assert (after.poll_s, after.endpoints) == (30, before.endpoints)
        with pytest.raises(ClientError) as fault:
            client.change_settings(after.revision, p.SettingsChange(poll_s=1))
        assert fault.value.problem.field == "poll_s"


def test_groups(served):
    with served.client() as client:
        client.create_site("groups")
        line = client.create_join("groups", d.JoinTokenCreate(auto_approve=True, uses=3, labels={"kind": "oven"})).line
        for name in ("oven-01", "oven-02", "oven-03"):
            with ScriptedDevice(served, line, name) as device:
                assert device.enrol() == "approved"
        made = client.create_group(g.GroupCreate(name="ovens", selector="kind=oven", devices=("oven-02",)))
        named = client.device("oven-02").summary.id
        assert (made.title, made.members, made.devices, made.gives_rights, made.deployments) == ("ovens", 3, (named,), False, ())
        assert made.tally is not None
        assert made.tally.devices == 3
        assert [one.name for one in client.groups()] == ["ovens"]
        assert [(one.device.name, one.ways) for one in client.group_members("ovens")] == [
            ("oven-01", ("labels",)),
            ("oven-02", ("named", "labels")),
            ("oven-03", ("labels",)),
        ]
        assert {one.name for one in client.devices(group=made.id)} == {"oven-01", "oven-02", "oven-03"}
        assert client.device("oven-01").groups == (d.GroupOfDevice(name="ovens", title="ovens"),)
        changed = client.change_group("ovens", made.revision, g.GroupChange(title="Ovens", selector=""))
        assert (changed.title, changed.members, changed.revision) == ("Ovens", 1, 2)
        with pytest.raises(ClientError) as refused:
            client.change_group("ovens", made.revision, g.GroupChange(title="Stoves"))
        assert refused.value.problem.status == 412
    with served.http() as http:
        found = http.get(f"/api/v1/groups/{made.id}")
        assert found.headers["etag"] == '"r2"'
        assert problem(http.patch("/api/v1/groups/ovens", json={"title": "x"}))["status"] == 428
        assert problem(http.get("/api/v1/groups/ovens/members", params={"limit": 0}))["field"] == "limit"
        page = http.get("/api/v1/groups/ovens/members", params={"limit": 1}).json()
        assert (len(page["items"]), page["next"]) == (1, "")
        assert problem(http.get("/api/v1/devices", params={"group": "nobody"}))["code"] == "group-not-found"
        assert problem(http.delete("/api/v1/groups/ovens"))["status"] == 428
        assert http.delete("/api/v1/groups/ovens", headers={"If-Match": '"r2"'}).status_code == 200
        assert problem(http.get("/api/v1/groups/ovens"))["status"] == 404
