"""The table of pages: method, path, page, permission, one line of documentation, and the part of the menu it belongs to.

Owns nothing else. A test proves that no line lacks a permission.
"""

from __future__ import annotations

from penstock.server.api.frame import PUBLIC, SIGNED_IN
from penstock.server.web import apps, compare, devicelogs, fleet, people, sites
from penstock.server.web.frame import Page

D = "/devices/{device}"
L = "/deployments/{deployment}"

PAGES: tuple[Page, ...] = (
    Page("GET", "/setup", people.setup_page, PUBLIC, "Make the first administrator."),
    Page("POST", "/setup", people.set_up, PUBLIC, "Make the first administrator and sign in."),
    Page("GET", "/login", people.login_page, PUBLIC, "Sign in."),
    Page("POST", "/login", people.log_in, PUBLIC, "Sign in with a name and password."),
    Page("POST", "/logout", people.log_out, SIGNED_IN, "Sign out."),
    Page("GET", "/language", people.choose_language, PUBLIC, "Read these pages in another language."),
    Page("GET", "/", fleet.fleet, SIGNED_IN, "The fleet; for who may not see it, the first page that is theirs."),
    Page("POST", "/views", fleet.save_view, "devices.read", "Give the filters of the fleet a name."),
    Page("POST", "/views/{view}/drop", fleet.drop_view, "devices.read", "Forget a saved view."),
    Page("GET", "/compare", compare.compare, "devices.read", "Two devices or two sites, side by side."),
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
    Page("GET", f"{D}/logs", devicelogs.logs, "devices.read", "The newest log lines of a service."),
    Page("POST", f"{D}/logs", devicelogs.fetch, "devices.command", "Ask a device for the log lines of a service."),
    Page("GET", f"{D}/settings", fleet.device_settings, "devices.read", "Labels, name, leaving the fleet."),
    Page("POST", f"{D}/settings", fleet.change_device, "devices.write", "Other labels or another name."),
    Page("POST", f"{D}/measure", fleet.measure, "devices.command", "Ask a device what its services use."),
    Page("POST", f"{D}/labels", fleet.change_labels, "devices.write", "Other labels, edited in place."),
    Page("POST", f"{D}/retire", fleet.retire, "devices.retire", "Take a device out of the fleet."),
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
    Page("POST", f"{L}/stand-again", apps.stand_again, "deployments.write", "Take a withdrawal back.", "/deployments"),
    Page("POST", f"{L}/retry", apps.retry, "deployments.write", "Try again where it failed.", "/deployments"),
    Page("POST", f"{L}/stop", apps.stop, "deployments.write", "Give nobody leave any more.", "/deployments"),
    Page("GET", "/sites", sites.sites, "sites.read", "Every site, and where they are.", "/sites"),
    Page("POST", "/sites", sites.create_site, "sites.write", "Name a site.", "/sites"),
    Page("GET", "/sites/{site}", sites.site, "sites.read", "One site.", "/sites"),
    Page("POST", "/sites/{site}", sites.change_site, "sites.write", "Change a site.", "/sites"),
    Page("GET", "/history", people.history, "events.read", "Who did what.", "/history"),
    Page("GET", "/settings", people.settings, "settings.read", "The plane's settings, one's own account.", "/settings"),
    Page("POST", "/settings", people.change_settings, "settings.write", "Change the plane's settings.", "/settings"),
    Page("POST", "/settings/tokens", people.create_token, "tokens.own", "Make an API token.", "/settings"),
    Page("POST", "/settings/tokens/{token}/revoke", people.revoke_token, "tokens.own", "Revoke an API token.", "/settings"),
    Page("POST", "/settings/password", people.change_password, SIGNED_IN, "Change one's own password.", "/settings"),
)
