"""The table of pages: method, path, page, permission, one line of documentation, and the part of the menu it belongs to.

Owns nothing else. A test proves that no line lacks a permission.
"""

from __future__ import annotations

from penstock.server.api.frame import PUBLIC, SIGNED_IN
from penstock.server.web import apps, fleet, groups, localpeople, notices, people
from penstock.server.web.frame import Page

D = "/devices/{device}"
L = "/deployments/{deployment}"
G = "/groups/{group}"

PAGES: tuple[Page, ...] = (
    Page("GET", "/setup", people.setup_page, PUBLIC, "Make the first administrator."),
    Page("POST", "/setup", people.set_up, PUBLIC, "Make the first administrator and sign in."),
    Page("GET", "/login", people.login_page, PUBLIC, "Sign in."),
    Page("POST", "/login", people.log_in, PUBLIC, "Sign in with a name and password."),
    Page("POST", "/logout", people.log_out, SIGNED_IN, "Sign out."),
    Page("GET", "/language", people.choose_language, PUBLIC, "Read these pages in another language."),
    Page("GET", "/", fleet.fleet, "devices.read", "The fleet."),
    Page("GET", "/faults", notices.faults, "devices.read", "What is wrong, worst first."),
    Page("POST", "/faults/{fault}/acknowledge", notices.acknowledge, "faults.acknowledge", "Say that a fault is known."),
    Page("POST", "/faults/{fault}/unacknowledge", notices.unacknowledge, "faults.acknowledge", "Let a fault be news again."),
    Page("GET", "/join", fleet.join, "enrolments.read", "Add a device; the waiting room.", "/join"),
    Page("POST", "/join", fleet.make_join, "joins.write", "Make a join line.", "/join"),
    Page("POST", "/join-tokens/{join}/revoke", fleet.revoke_join, "joins.write", "Revoke a join line.", "/join"),
    Page("POST", "/enrolments/{enrolment}/approve", fleet.approve, "enrolments.decide", "Let a device in.", "/join"),
    Page("POST", "/enrolments/{enrolment}/reject", fleet.reject, "enrolments.decide", "Turn a device away.", "/join"),
    Page("GET", D, fleet.device, "devices.read", "One device."),
    Page("GET", f"{D}/timeline", fleet.device_timeline, "devices.read", "What happened on a device."),
    Page("GET", f"{D}/commands", fleet.device_commands, "devices.read", "Commands given to a device."),
    Page("POST", f"{D}/commands", fleet.order, "devices.command", "Ask something of a device."),
    Page("GET", f"{D}/commands/{{command}}", fleet.command, "devices.read", "One command and its outcome."),
    Page("GET", f"{D}/settings", fleet.device_settings, "devices.read", "Labels, name, leaving the fleet."),
    Page("POST", f"{D}/settings", fleet.change_device, "devices.write", "Other labels or another name."),
    Page("POST", f"{D}/retire", fleet.retire, "devices.retire", "Take a device out of the fleet."),
    Page("POST", f"{D}/keep", fleet.keep, "devices.retire", "Take an order to retire back."),
    Page("POST", f"{D}/move", fleet.move, "devices.write", "Say that a device stands at another site."),
    Page("POST", f"{D}/release-quarantine", fleet.release_quarantine, "devices.quarantine", "Release a device from quarantine."),
    Page("POST", f"{D}/accept-review", fleet.accept_review, "devices.quarantine", "Accept what a device runs."),
    Page("GET", "/apps", apps.catalogue, "apps.read", "The catalogue.", "/apps"),
    Page("GET", "/apps/{app}", apps.app, "apps.read", "One app.", "/apps"),
    Page("GET", "/apps/{app}/{version}", apps.release, "apps.read", "One release.", "/apps"),
    Page("GET", "/publish", apps.publish_page, "releases.publish", "Publish a Compose file.", "/apps"),
    Page("POST", "/publish", apps.publish, "releases.publish", "Check or publish a Compose file.", "/apps"),
    Page("GET", "/deploy", apps.deploy_page, "deployments.write", "Deploy a release, or change a deployment.", "/deployments"),
    Page("POST", "/deploy", apps.deploy, "deployments.write", "Preview, then deploy.", "/deployments"),
    Page("GET", "/deployments", apps.deployments, "deployments.read", "Every deployment.", "/deployments"),
    Page("GET", L, apps.deployment, "deployments.read", "One deployment, device by device.", "/deployments"),
    Page("POST", f"{L}/withdraw", apps.withdraw, "deployments.write", "Remove the app from its devices.", "/deployments"),
    Page("POST", f"{L}/retry", apps.retry, "deployments.write", "Try again where it failed.", "/deployments"),
    Page("POST", f"{L}/stop", apps.stop, "deployments.write", "Give nobody leave any more.", "/deployments"),
    Page("GET", "/sites", people.sites, "sites.read", "Every site.", "/sites"),
    Page("POST", "/sites", people.create_site, "sites.write", "Name a site.", "/sites"),
    Page("POST", "/sites/{site}", people.change_site, "sites.write", "Change a site.", "/sites"),
    Page("GET", "/groups", groups.all_groups, "groups.read", "Every group.", "/groups"),
    Page("POST", "/groups", groups.create_group, "groups.write", "Make a group.", "/groups"),
    Page("GET", G, groups.group, "groups.read", "One group, its devices and what is deployed to it.", "/groups"),
    Page("POST", G, groups.change_group, "groups.write", "Change a group.", "/groups"),
    Page("POST", f"{G}/devices", groups.change_devices, "groups.write", "Name a device in a group, or no more.", "/groups"),
    Page("POST", f"{G}/remove", groups.remove_group, "groups.write", "Remove a group.", "/groups"),
    Page("GET", "/sites/{site}/people", localpeople.listed, "sites.read", "Who may act at a site's devices.", "/sites"),
    Page("POST", "/sites/{site}/people", localpeople.add, "sites.people", "Add a local person.", "/sites"),
    Page("POST", "/sites/{site}/people/{person}", localpeople.change, "sites.people", "Change a local person.", "/sites"),
    Page("POST", "/sites/{site}/people/{person}/pin", localpeople.set_pin, "sites.people", "Set a local person's PIN.", "/sites"),
    Page("POST", "/sites/{site}/people/{person}/remove", localpeople.remove, "sites.people", "Remove a local person.", "/sites"),
    Page("GET", "/history", people.history, "events.read", "Who did what.", "/history"),
    Page("GET", "/notices", notices.page, "notices.read", "Who is told of faults.", "/settings"),
    Page("POST", "/notices", notices.create, "notices.write", "Tell somebody by webhook or mail.", "/settings"),
    Page("POST", "/notices/{notice}/test", notices.test, "notices.write", "Send a test.", "/settings"),
    Page("POST", "/notices/{notice}/switch", notices.switch, "notices.write", "Turn a notice off or on.", "/settings"),
    Page("POST", "/notices/{notice}/remove", notices.remove, "notices.write", "Remove a notice.", "/settings"),
    Page("GET", "/settings", people.settings, "settings.read", "The plane's settings, one's own account.", "/settings"),
    Page("POST", "/settings", people.change_settings, "settings.write", "Change the plane's settings.", "/settings"),
    Page("POST", "/settings/tokens", people.create_token, "tokens.own", "Make an API token.", "/settings"),
    Page("POST", "/settings/tokens/{token}/revoke", people.revoke_token, "tokens.own", "Revoke an API token.", "/settings"),
    Page("POST", "/settings/password", people.change_password, SIGNED_IN, "Change one's own password.", "/settings"),
)
