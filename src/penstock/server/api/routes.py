"""The table of /api/v1: method, path, handler, permission, what goes in and out, one line of documentation.

Owns nothing else. A test proves that no line lacks a permission; `openapi.py` and the server are made from this same table.
"""

from __future__ import annotations

from penstock.apiv1 import account as c
from penstock.apiv1 import apps as a
from penstock.apiv1 import devices as d
from penstock.apiv1 import groups as g
from penstock.apiv1 import notices as n
from penstock.apiv1 import people as p
from penstock.apiv1.common import Outcome, Page
from penstock.server.api import account, apps, devices, groups, localpeople, notices, openapi, people, queries, streams
from penstock.server.api.frame import PUBLIC, SIGNED_IN, Route

V = "/api/v1"

ROUTES: tuple[Route, ...] = (
    # the front door
    Route("GET", f"{V}/openapi.json", openapi.serve, PUBLIC, "This document.", dict),
    Route("GET", f"{V}/ca", people.authorities, PUBLIC, "The certificates to trust for this plane; compare the fingerprint.", p.Authorities),
    Route("GET", f"{V}/setup", people.setup_state, PUBLIC, "Whether the first administrator is still to be made.", p.SetupState),
    Route("POST", f"{V}/setup", people.set_up, PUBLIC, "Make the first administrator with the one-time set-up token.", p.TokenMade, p.SetupRequest, status=201),
    Route("POST", f"{V}/login", people.log_in, PUBLIC, "A name and password, and a code where the person has a second factor, for an API token.", p.TokenMade, p.LoginRequest, status=201),
    Route("GET", f"{V}/me", people.me, SIGNED_IN, "Who the token belongs to.", p.Me),
    Route("POST", f"{V}/me/password", people.change_password, SIGNED_IN, "Change one's own password.", Outcome, p.PasswordChange),
    Route("GET", f"{V}/me/sessions", account.list_sessions, SIGNED_IN, "One's own sessions: browsers that are signed in.", Page[c.Session]),
    Route("DELETE", f"{V}/me/sessions", account.end_other_sessions, SIGNED_IN, "End all of one's own sessions but the one that asks.", Outcome),
    Route("DELETE", f"{V}/me/sessions/{{session}}", account.end_session, SIGNED_IN, "End one of one's own sessions.", Outcome),
    Route("GET", f"{V}/me/second-factor", account.get_factor, SIGNED_IN, "One's own second factor.", c.SecondFactor),
    Route("POST", f"{V}/me/second-factor", account.begin_factor, SIGNED_IN, "A fresh secret for an authenticator app; a first code switches it on.", c.FactorSecret, c.PasswordOnly, status=201),
    Route("POST", f"{V}/me/second-factor/confirm", account.confirm_factor, SIGNED_IN, "Switch the second factor on with its first code; the recovery codes.", c.RecoveryCodes, c.CodeOnly),
    Route("POST", f"{V}/me/second-factor/recovery-codes", account.renew_codes, SIGNED_IN, "New recovery codes; the old ones are worthless.", c.RecoveryCodes, c.PasswordAndCode),
    Route("POST", f"{V}/me/second-factor/off", account.switch_off_factor, SIGNED_IN, "Switch the second factor off.", Outcome, c.PasswordAndCode),
    Route("POST", f"{V}/me/second-factor/cancel", account.cancel_factor, SIGNED_IN, "Give up setting a second factor up.", Outcome),
    Route("GET", f"{V}/users/{{user}}/sessions", account.list_sessions_of, "users.read", "Somebody's sessions, by id or name.", Page[c.Session]),
    Route("DELETE", f"{V}/users/{{user}}/sessions", account.end_sessions_of, "users.write", "End all of somebody's sessions.", Outcome),
    Route("DELETE", f"{V}/users/{{user}}/sessions/{{session}}", account.end_session_of, "users.write", "End one of somebody's sessions.", Outcome),
    Route("POST", f"{V}/users/{{user}}/second-factor/reset", account.reset_factor, "users.write", "Take away somebody's lost second factor.", Outcome, d.Reason),
    Route("GET", f"{V}/break-glass", account.get_break_glass, "users.read", "How the sealed break-glass account stands.", c.BreakGlass),
    Route("POST", f"{V}/break-glass/acknowledge", account.acknowledge_break_glass, "users.write", "Take note that the break-glass account was used.", c.BreakGlass),
    Route("GET", f"{V}/tokens", people.list_tokens, "tokens.own", "One's own API tokens.", Page[p.Token], query=queries.Tokens),
    Route("POST", f"{V}/tokens", people.create_token, "tokens.own", "Make an API token.", p.TokenMade, p.TokenCreate, status=201, creates=True),
    Route("DELETE", f"{V}/tokens/{{token}}", people.revoke_token, "tokens.own", "Revoke an API token; it is dead at once.", Outcome),
    # places
    Route("GET", f"{V}/sites", people.list_sites, "sites.read", "Every site.", Page[p.Site], query=queries.Sites),
    Route("POST", f"{V}/sites", people.create_site, "sites.write", "Name a site.", p.Site, p.SiteCreate, status=201, creates=True),
    Route("GET", f"{V}/sites/{{site}}", people.get_site, "sites.read", "One site, by id or name.", p.Site),
    Route("PATCH", f"{V}/sites/{{site}}", people.change_site, "sites.write", "Change a site's title or time zone.", p.Site, p.SiteChange, conditional=True),
    # groups
    Route("GET", f"{V}/groups", groups.list_groups, "groups.read", "Every group.", Page[g.Group], query=queries.Groups),
    Route("POST", f"{V}/groups", groups.create_group, "groups.write", "Make a group of devices.", g.Group, g.GroupCreate, status=201, creates=True),
    Route("GET", f"{V}/groups/{{group}}", groups.get_group, "groups.read", "One group, by id or name.", g.Group),
    Route("GET", f"{V}/groups/{{group}}/members", groups.members, "groups.read", "The devices of a group, and why each is in.", Page[g.GroupMember], query=queries.Paging),
    Route("PATCH", f"{V}/groups/{{group}}", groups.change_group, "groups.write", "Change a group's title, selector or list of devices.", g.Group, g.GroupChange, conditional=True),
    Route("DELETE", f"{V}/groups/{{group}}", groups.remove_group, "groups.write", "Remove a group that nothing needs any more.", Outcome, conditional=True),
    Route("GET", f"{V}/sites/{{site}}/people", localpeople.list_people, "sites.read", "Who may act at the site's devices with a PIN.", Page[p.LocalPerson]),
    Route("POST", f"{V}/sites/{{site}}/people", localpeople.add_person, "sites.people", "Add a local person.", p.LocalPerson, p.LocalPersonCreate, status=201, creates=True),
    Route("PATCH", f"{V}/sites/{{site}}/people/{{person}}", localpeople.change_person, "sites.people", "Change a local person's name or rights.", p.LocalPerson, p.LocalPersonChange, conditional=True),
    Route("POST", f"{V}/sites/{{site}}/people/{{person}}/pin", localpeople.set_pin, "sites.people", "Set a local person's PIN.", Outcome, p.PinChange),
    Route("DELETE", f"{V}/sites/{{site}}/people/{{person}}", localpeople.remove_person, "sites.people", "Remove a local person.", Outcome),
    # joining
    Route("GET", f"{V}/join-tokens", devices.list_joins, "joins.read", "Join tokens, without their secrets.", Page[d.JoinToken], query=queries.Joins),
    Route("POST", f"{V}/sites/{{site}}/join-tokens", devices.create_join, "joins.write", "Make a join line for a site.", d.JoinTokenMade, d.JoinTokenCreate, status=201, creates=True),
    Route("DELETE", f"{V}/join-tokens/{{join}}", devices.revoke_join, "joins.write", "Revoke a join token.", Outcome),
    Route("GET", f"{V}/enrolments", devices.list_enrolments, "enrolments.read", "The waiting room.", Page[d.Enrolment], query=queries.Enrolments),
    Route("GET", f"{V}/enrolments/{{enrolment}}", devices.get_enrolment, "enrolments.read", "One request for admission.", d.Enrolment),
    Route("POST", f"{V}/enrolments/{{enrolment}}/approve", devices.approve, "enrolments.decide", "Let a device in.", Outcome, d.Approve),
    Route("POST", f"{V}/enrolments/{{enrolment}}/reject", devices.reject, "enrolments.decide", "Turn a device away.", Outcome, d.Reason),
    # devices
    Route("GET", f"{V}/overview", devices.overview, "devices.read", "The fleet in numbers, and what needs a person.", d.Overview),
    Route("GET", f"{V}/devices", devices.list_devices, "devices.read", "Devices, worst first.", Page[d.DeviceSummary], query=queries.Devices),
    Route("GET", f"{V}/devices/{{device}}", devices.get_device, "devices.read", "One device, by id or name.", d.Device),
    Route("PATCH", f"{V}/devices/{{device}}", devices.change_device, "devices.write", "Change a device's labels or name.", d.Device, d.DeviceChange, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/retire", devices.retire, "devices.retire", "Take a device out of the fleet for good, wiped first where that is asked for.", Outcome, d.Retire, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/keep", devices.keep, "devices.retire", "Take an order to retire back that the device has not heard.", Outcome, d.Reason),
    Route("POST", f"{V}/devices/{{device}}/move", devices.move, "devices.write", "Say that a device stands at another site now.", d.Device, d.Move, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/release-quarantine", devices.release_quarantine, "devices.quarantine", "Let a quarantined device change things again.", Outcome, d.Reason, conditional=True),
    Route("POST", f"{V}/devices/{{device}}/accept-review", devices.accept_review, "devices.quarantine", "Say that what an unknown-content device runs has been looked at.", Outcome, d.Reason, conditional=True),
    Route("GET", f"{V}/devices/{{device}}/timeline", devices.timeline, "devices.read", "What happened on a device, newest first.", Page[d.TimelineItem], query=queries.Timeline),
    Route("GET", f"{V}/devices/{{device}}/commands", devices.list_commands, "devices.read", "Commands given to a device.", Page[d.Command], query=queries.Paging),
    Route("POST", f"{V}/devices/{{device}}/commands", devices.order, "devices.command", "Ask something of a device.", d.Command, d.CommandCreate, status=201, creates=True),
    Route("GET", f"{V}/commands/{{command}}", devices.get_command, "devices.read", "One command and its outcome.", d.Command),
    # faults, and who is told
    Route("GET", f"{V}/faults", notices.list_faults, "devices.read", "What is wrong, worst first.", Page[n.FleetFault], query=queries.Faults),
    Route("POST", f"{V}/faults/{{fault}}/acknowledge", notices.acknowledge, "faults.acknowledge", "Say that a fault is known, until when and why.", Outcome, n.Acknowledge),
    Route("POST", f"{V}/faults/{{fault}}/unacknowledge", notices.unacknowledge, "faults.acknowledge", "Let an acknowledged fault be news again.", Outcome),
    Route("GET", f"{V}/notices", notices.list_notices, "notices.read", "Who is told of faults and acts.", Page[n.Notice]),
    Route("POST", f"{V}/notices", notices.create_notice, "notices.write", "Tell somebody by webhook or mail.", n.NoticeMade, n.NoticeCreate, status=201, creates=True),
    Route("GET", f"{V}/notices/{{notice}}", notices.get_notice, "notices.read", "One notice, by id or name.", n.Notice),
    Route("PATCH", f"{V}/notices/{{notice}}", notices.change_notice, "notices.write", "Change a notice's rules or address, or turn it off.", n.Notice, n.NoticeChange, conditional=True),
    Route("DELETE", f"{V}/notices/{{notice}}", notices.remove_notice, "notices.write", "Remove a notice.", Outcome, conditional=True),
    Route("POST", f"{V}/notices/{{notice}}/test", notices.try_notice, "notices.write", "Send a test at once.", n.NoticeTested),
    # apps and releases
    Route("GET", f"{V}/apps", apps.list_apps, "apps.read", "The catalogue.", Page[a.App], query=queries.Apps),
    Route("GET", f"{V}/apps/{{app}}", apps.get_app, "apps.read", "One app and its releases.", a.App),
    Route("GET", f"{V}/releases", apps.list_releases, "apps.read", "Releases, newest first.", Page[a.ReleaseBrief], query=queries.Releases),
    Route("GET", f"{V}/releases/{{release}}", apps.get_release, "apps.read", "One release, by id or app:version.", a.Release),
    Route("POST", f"{V}/releases/check", apps.check, "releases.publish", "What a Compose file would become; nothing is stored.", a.ReleaseCheck, a.Check),
    Route("POST", f"{V}/releases", apps.publish, "releases.publish", "Publish a Compose file as a release.", a.Release, a.Publish, status=201, creates=True),
    # deployments
    Route("POST", f"{V}/deployments/preview", apps.preview, "deployments.read", "What a deployment would change where.", a.Preview, a.PreviewRequest),
    Route("GET", f"{V}/deployments", apps.list_deployments, "deployments.read", "Deployments and how far they are.", Page[a.Deployment], query=queries.Deployments),
    Route("POST", f"{V}/deployments", apps.create_deployment, "deployments.write", "Deploy a release.", a.Deployment, a.DeploymentCreate, status=201, creates=True),
    Route("GET", f"{V}/deployments/{{deployment}}", apps.get_deployment, "deployments.read", "One deployment.", a.Deployment),
    Route("PATCH", f"{V}/deployments/{{deployment}}", apps.change_deployment, "deployments.write", "Change a deployment's release, target or values.", a.Deployment, a.DeploymentChange, conditional=True),
    Route("POST", f"{V}/deployments/{{deployment}}/withdraw", apps.withdraw, "deployments.write", "Remove the app from every device of the deployment; volumes stay.", Outcome, d.Reason, conditional=True),
    Route("POST", f"{V}/deployments/{{deployment}}/retry", apps.retry, "deployments.write", "Try again where it failed.", Outcome, a.Retry),
    Route("GET", f"{V}/deployments/{{deployment}}/rollouts", apps.list_rollouts, "deployments.read", "The rollouts of a deployment.", Page[a.Rollout], query=queries.Rollouts),
    Route("GET", f"{V}/rollouts/{{rollout}}", apps.get_rollout, "deployments.read", "One rollout.", a.Rollout),
    Route("GET", f"{V}/rollouts/{{rollout}}/members", apps.members, "deployments.read", "The devices of a rollout.", Page[a.Member], query=queries.Members),
    Route("POST", f"{V}/rollouts/{{rollout}}/stop", apps.stop_rollout, "deployments.write", "Give nobody leave any more.", Outcome, d.Reason),
    # the plane
    Route("GET", f"{V}/events", streams.acts, "events.read", "Every act on the plane as server-sent events; resumes after Last-Event-ID.", bytes, query=queries.Events, media_type="text/event-stream", stream=True),
    Route("GET", f"{V}/changes", streams.changed, SIGNED_IN, "That something changed under the topics named, as server-sent events.", bytes, query=queries.Changes, media_type="text/event-stream", stream=True),
    Route("GET", f"{V}/history", people.history, "events.read", "Acts on the plane, newest first.", Page[p.HistoryItem], query=queries.History),
    Route("GET", f"{V}/about", people.about, "settings.read", "What this plane is.", p.About),
    Route("GET", f"{V}/settings", people.get_settings, "settings.read", "The plane's settings.", p.Settings),
    Route("PATCH", f"{V}/settings", people.change_settings, "settings.write", "Change the plane's settings; they reach devices through signed state.", p.Settings, p.SettingsChange, conditional=True),
)  # fmt: skip
